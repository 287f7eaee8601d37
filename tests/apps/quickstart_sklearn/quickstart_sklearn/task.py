"""The model and the data of a node."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


def create_model(iterations):
    return LogisticRegression(max_iter=iterations, warm_start=True)


def set_parameters(model, parameters):
    model.classes_ = np.arange(10)
    model.coef_, model.intercept_ = (array.copy() for array in parameters)


def load_data(partition, partitions):
    x, y = load_digits(return_X_y=True)
    x, y = x[partition::partitions] / 16.0, y[partition::partitions]
    cut = int(0.8 * len(x))
    return x[:cut], x[cut:], y[:cut], y[cut:]
