"""After Flower's quickstart-sklearn: logistic regression on handwritten digits."""
