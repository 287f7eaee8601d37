import torch

from fedtiny.models.linear import Linear


def test_it_is_one_product_with_the_flattened_input():
    network = Linear().build((3, 4, 5), 7, lite_residual=False, generator=torch.Generator().manual_seed(1))
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(2))
    weight, bias = network.parameters()
    assert weight.shape == (7, 60)
    torch.testing.assert_close(network(images), images.reshape(2, 60) @ weight.T + bias)
