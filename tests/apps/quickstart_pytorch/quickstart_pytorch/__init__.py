"""After Flower's quickstart-pytorch: a convolutional network and FedAvg."""
