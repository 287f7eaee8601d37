"""After Flower's quickstart-numpy: linear regression and FedAvg."""
