import pytest

from fedtiny.errors import ModelError
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.mobilenet_v2 import MobileNetV2
from fedtiny.models.proxylessnas import ProxylessNasMobile

CARRIERS = [ProxylessNasMobile, MobileNetV2, McuNet5Fps, MobileNetV2W035, ProxylessNasW03]


@pytest.mark.parametrize("kind", CARRIERS)
def test_an_update_that_trains_lite_residual_modules_brings_them(kind):
    assert kind().wants_lite_residual(update_trains_lite=True)


@pytest.mark.parametrize("kind", CARRIERS)
def test_without_such_an_update_only_proxylessnas_mobile_has_them_by_default(kind):
    assert kind().wants_lite_residual(update_trains_lite=False) == (kind is ProxylessNasMobile)


@pytest.mark.parametrize("kind", CARRIERS)
def test_what_the_model_says_about_them_is_done(kind):
    assert kind(lite_residual=True).wants_lite_residual(update_trains_lite=False)
    assert not kind(lite_residual=False).wants_lite_residual(update_trains_lite=False)


@pytest.mark.parametrize("kind", CARRIERS)
def test_a_model_that_refuses_what_the_update_trains_is_an_error_with_a_remedy(kind):
    with pytest.raises(ModelError, match=r"lite_residual: false: remove that key or use update: \{kind: tinytl, lite_residual: false\}"):
        kind(lite_residual=False).wants_lite_residual(update_trains_lite=True)
