import pytest
from pydantic import ValidationError

from fedtiny.models.mobile_architecture import BlockShape, block, multiple_of_eight, read_architecture

MCU_NETWORKS = ("mcunet_5fps", "mobilenet_v2_w035", "proxylessnas_w03")


@pytest.mark.parametrize(
    ("channels", "rounded"), [(32, 32), (11.2, 16), (5.6, 8), (8.4, 8), (33.6, 32), (44, 48), (1, 8), (0.1, 8), (1792, 1792)]
)
def test_channels_are_rounded_to_multiples_of_eight_losing_at_most_a_tenth(channels, rounded):
    assert multiple_of_eight(channels) == rounded


def test_a_block_has_a_shortcut_only_where_input_and_output_have_one_shape():
    assert block(16, 16, expansion=3, kernel=3, stride=1).residual
    assert not block(16, 16, expansion=3, kernel=3, stride=2).residual
    assert not block(16, 24, expansion=3, kernel=3, stride=1).residual


@pytest.mark.parametrize("name", MCU_NETWORKS)
def test_the_blocks_of_a_microcontroller_network_follow_on_each_other(name):
    architecture = read_architecture(name)
    widths = [architecture.stem.out_channels, *(shape.out_channels for shape in architecture.blocks)]
    assert [shape.in_channels for shape in architecture.blocks] == widths[:-1]
    assert architecture.classifier_in == widths[-1]
    assert architecture.name == name
    assert architecture.feature_mix is None
    assert all(shape.residual == (shape.stride == 1 and shape.in_channels == shape.out_channels) for shape in architecture.blocks)
    assert [shape.has_expand for shape in architecture.blocks] == [False] + [True] * (len(architecture.blocks) - 1)


def test_a_block_without_channels_is_refused():
    with pytest.raises(ValidationError, match="greater than 0"):
        BlockShape(in_channels=0, mid_channels=8, out_channels=8, kernel=3, stride=1, has_expand=True, residual=False)
