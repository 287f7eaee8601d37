from fedtiny.updates.schemes import SCHEMES


def test_the_schemes_are_the_six_of_the_published_table(lite_network):
    names = [update.plan(lite_network).scheme for update in SCHEMES]
    assert names == ["full", "last", "norm_last", "bias", "tinytl_lite_residual", "tinytl"]
