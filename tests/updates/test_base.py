import pytest
from pydantic import ValidationError

from fedtiny.updates.base import Update
from fedtiny.updates.schemes import SCHEMES
from fedtiny.updates.tinytl import TinyTL


@pytest.mark.parametrize("update", SCHEMES, ids=lambda update: repr(update))
def test_every_update_trains_the_head(update, lite_network):
    assert {"fc.weight", "fc.bias"} <= set(update.plan(lite_network).trainable)


@pytest.mark.parametrize("update", SCHEMES, ids=lambda update: repr(update))
def test_what_an_update_says_of_itself_makes_it_again(update):
    assert type(update)(**update.to_plain()) == update


def test_an_update_is_strict_and_frozen():
    with pytest.raises(ValidationError, match="bias"):
        TinyTL(bias=1)
    with pytest.raises(ValidationError, match="weights"):
        TinyTL(weights=True)
    with pytest.raises(ValidationError, match="frozen"):
        TinyTL().bias = False


def test_the_family_itself_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Update()
