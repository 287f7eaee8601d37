import pytest
from pydantic import TypeAdapter, ValidationError

from fedtiny.training.optimizer import SGD, Adam, Optimizer


def test_the_default_is_plain_sgd_at_the_documented_rate():
    assert SGD() == SGD(learning_rate=0.05, momentum=0.0, weight_decay=0.0)
    assert SGD().is_plain


@pytest.mark.parametrize("more", [{"momentum": 0.9}, {"weight_decay": 1e-4}])
def test_momentum_and_weight_decay_make_sgd_something_else(more):
    assert not SGD(**more).is_plain


def test_the_kind_tells_the_optimizer():
    read = TypeAdapter(Optimizer).validate_python
    assert read({"kind": "adam", "learning_rate": 0.1}) == Adam(learning_rate=0.1)
    assert read({"kind": "sgd"}) == SGD()


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (SGD, "learning_rate", 0.0),
        (SGD, "learning_rate", float("inf")),
        (SGD, "momentum", 1.0),
        (SGD, "momentum", -0.1),
        (SGD, "weight_decay", -1.0),
        (SGD, "weight_decay", float("nan")),
        (Adam, "beta1", 1.0),
        (Adam, "beta2", 1.0),
        (Adam, "epsilon", 0.0),
        (Adam, "momentum", 0.5),
    ],
)
def test_values_that_no_optimizer_can_use_are_refused(kind, key, value):
    with pytest.raises(ValidationError):
        kind(**{key: value})
