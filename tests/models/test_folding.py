"""Folding changes no answer, only how it is computed."""

import numpy as np
import pytest
import torch
from model_families import drawn_network, drawn_tiles, family_card
from torch import nn

from areca.models.contracts import FAMILIES
from areca.models.folding import fold_norms

DENSE = sorted(
    name
    for name, family in FAMILIES.items()
    if family.contract == "logits" and name != "sam-lora"  # it has no batch norms
)


def norms(network):
    return [m for m in network.modules() if type(m) is nn.BatchNorm2d]


def with_statistics(network):
    """Give every normalisation something to do."""
    generator = torch.Generator().manual_seed(1)
    for norm in norms(network):
        norm.running_mean.normal_(0, 0.1, generator=generator)
        norm.running_var.uniform_(0.5, 1.5, generator=generator)
        norm.weight.data.uniform_(0.5, 1.5, generator=generator)
        norm.bias.data.normal_(0, 0.1, generator=generator)
    return network.eval()


def run(network, tiles):
    with torch.inference_mode():
        out = network(torch.from_numpy(tiles))
    return (out["out"] if isinstance(out, dict) else out).numpy()


@pytest.mark.parametrize("name", DENSE)
def test_a_folded_network_gives_the_same_logits(name):
    card = family_card(name)
    tiles = drawn_tiles(card, 1)
    plain = with_statistics(drawn_network(card))
    expected = run(plain, tiles)
    spread = expected.std()
    before = len(norms(plain))

    folded = fold_norms(plain)

    assert len(norms(folded)) == 0
    assert before >= 1
    np.testing.assert_allclose(run(folded, tiles), expected, atol=1e-4 * spread)
    assert spread > 0


class Shared(nn.Module):
    """One convolution read by two layers, one layer called twice, one that adds."""

    def __init__(self):
        super().__init__()
        self.read_twice = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.called_twice = nn.Conv2d(3, 3, 1)
        self.one, self.other = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.alone = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

    def forward(self, x):
        seen = self.read_twice(x)
        x = self.norm(seen) + seen
        x = self.one(self.called_twice(x)) + self.other(self.called_twice(x))
        return self.alone(x)


def test_a_layer_that_serves_two_is_not_changed_for_one():
    torch.manual_seed(0)
    network = with_statistics(Shared())
    tiles = np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)
    expected = run(network, tiles)

    fold_norms(network)

    np.testing.assert_allclose(run(network, tiles), expected, atol=1e-5)
    assert len(norms(network)) == 3  # only that of `alone` is gone


class Depends(nn.Module):
    """Its way depends on its input, so it cannot be followed as a whole."""

    def __init__(self):
        super().__init__()
        self.part = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

    def forward(self, x):
        return self.part(x) if x.sum() > 0 else self.part(-x)


def test_the_parts_of_a_network_that_cannot_be_followed_are_folded():
    torch.manual_seed(0)
    network = with_statistics(Depends())
    tiles = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    expected = [run(network, sign * tiles) for sign in (1, -1)]

    fold_norms(network)

    assert not norms(network)
    for sign, wanted in zip((1, -1), expected, strict=True):
        np.testing.assert_allclose(run(network, sign * tiles), wanted, atol=1e-5)
