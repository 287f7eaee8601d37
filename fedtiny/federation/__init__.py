"""Where learning meets time: a Flower Grid whose waiting is virtual."""
