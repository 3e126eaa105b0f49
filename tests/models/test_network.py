"""The network sees only its receptive field, and an image alone decides its output."""

import pytest
import torch

from areca.models.network import CentreRadiusNet, count_parameters


def small(seed=0, **options):
    torch.manual_seed(seed)
    options = {"width": 8, "deep_width": 16, "deep_blocks": 1} | options
    network = CentreRadiusNet(**options)
    # Running statistics that are not 0 and 1, or a wrong fold would go unseen.
    network.train()
    for _ in range(3):
        network(torch.randn(4, 3, 64, 64) * 2 + 1)
    return network.eval()


def test_folding_keeps_the_output():
    network = small()
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        before = network(image).clone()
        network.fold()
        after = network(image)
    assert torch.allclose(before, after, atol=1e-4)
    assert not torch.equal(before, torch.zeros_like(before))


def test_an_image_does_not_depend_on_its_batch():
    network = small()
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        together = network(images)
        alone = network(images[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-5)


@pytest.mark.parametrize("deep_blocks", [1, 2])
def test_nothing_beyond_the_receptive_radius_is_seen(deep_blocks):
    network = small(deep_blocks=deep_blocks).double()
    size = 8 * (2 * network.receptive_radius_px // 8 + 4)
    image = torch.zeros(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    cell = size // 8
    network(image)[0, :, cell, cell].sum().backward()
    rows, cols = image.grad[0].abs().sum(0).nonzero(as_tuple=True)
    first, last = 4 * cell, 4 * cell + 3
    reach = max(
        first - rows.min().item(),
        rows.max().item() - last,
        first - cols.min().item(),
        cols.max().item() - last,
    )
    assert network.receptive_radius_px - 8 <= reach <= network.receptive_radius_px


def test_output_has_one_heat_map_per_class_and_three_values():
    out = small(classes=4)(torch.zeros(2, 3, 64, 96))
    assert out.shape == (2, 4 + 3, 16, 24)


def test_an_untrained_network_predicts_the_typical_radius():
    torch.manual_seed(0)
    network = CentreRadiusNet(width=8, deep_width=16, deep_blocks=1, radius_px=12.0)
    radius = network.eval()(torch.zeros(1, 3, 64, 64))[0, -1].exp()
    assert torch.allclose(radius, torch.full_like(radius, 12.0), rtol=0.2)


def test_parameters_are_counted_by_hand():
    # 3 x 3 convolutions without bias, two BatchNorm numbers per channel.
    def block(inner, outer):
        return 9 * inner * outer + 2 * outer

    by_hand = (
        block(3, 4) + block(4, 8) + 2 * block(8, 8)
        + block(8, 16) + 2 * block(16, 16)
        + (16 * 8 + 8) + 2 * block(8, 8) + (8 * 4 + 4)
    )  # fmt: skip
    assert count_parameters(small()) == by_hand
