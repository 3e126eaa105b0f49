"""bf16 only where these very weights allow it, and where hardware has it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_families import drawn_network, drawn_tiles, family_card
from torch import nn

from areca.errors import ModelError
from areca.models import adapter_dense
from areca.models.adapter import load_network
from areca.models.adapter_dense import DenseSegmenter
from areca.models.handle import load_model
from areca.models.precision import try_bf16
from areca.models.weights import save_model


def scaled(network, factor):
    """Spread the logits: rounding then changes fewer classes."""
    head = network.segmentation_head[0]
    with torch.no_grad():
        head.bias[0] += factor
    return network


@pytest.mark.parametrize(("lead", "precision"), [(100.0, "bf16"), (0.0, "float32")])
def test_a_card_allows_bf16_if_its_own_trial_does(tmp_path, lead, precision):
    card = family_card("unet")
    model = save_model(scaled(drawn_network(card), lead), card, tmp_path)
    tiles = drawn_tiles(card, 2)

    tried = try_bf16(model, tiles)

    told = tried.card.scores["bf16"]
    assert told["pixels"] == 2 * card.tile_px**2
    assert (told["argmax_agreement"] >= 0.999) == (precision == "bf16")
    assert tried.card.precision == precision
    assert load_model(tmp_path).card == tried.card
    # The same share by another way: whole arrays in NumPy.
    networks = [
        DenseSegmenter(scaled(drawn_network(card), lead), card, bf16=bf16)
        for bf16 in (False, True)
    ]
    one, other = (n.forward(tiles)["logits"].argmax(1) for n in networks)
    assert told["argmax_agreement"] == pytest.approx((one == other).mean(), abs=1e-6)


@pytest.mark.parametrize("has_it", [True, False])
@pytest.mark.parametrize("name", ["unet", "deeplabv3", "segformer", "sam-lora"])
def test_bf16_runs_where_card_and_hardware_have_it(tmp_path, monkeypatch, name, has_it):
    monkeypatch.setattr(adapter_dense, "has_bf16", lambda _device: has_it)
    card = replace(family_card(name), precision="bf16")
    model = save_model(drawn_network(card), card, tmp_path)
    loaded = load_network(model)
    if name == "sam-lora" and has_it and not loaded.bf16:
        has_it = False  # a processor whose kernels are wrong, see `rounded`
    assert loaded.bf16 == has_it
    exact = DenseSegmenter(drawn_network(card), replace(card, precision="float32"))
    tiles = drawn_tiles(card, 1)
    one, other = (n.forward(tiles)["logits"] for n in (loaded, exact))
    assert one.dtype == np.float32
    # LoRA is merged on loading, so float32 may differ in its last digits.
    off = np.abs(one - other).mean() / np.abs(other).mean()
    assert (1e-3 < off < 0.05) if has_it else off < 1e-5


class Wrong(nn.Module):
    """A network whose answer in bf16 has nothing to do with that in float32."""

    def __init__(self, *, is_wrong):
        super().__init__()
        self.layer = nn.Conv2d(4, 3, 3, padding=1)
        self.is_wrong = is_wrong

    def forward(self, x):
        turned = x.flip(-1) if self.is_wrong and x.dtype == torch.bfloat16 else x
        return self.layer(turned)


@pytest.mark.parametrize("is_wrong", [True, False])
def test_a_processor_that_is_wrong_in_bf16_computes_in_float32(monkeypatch, is_wrong):
    """Also where a card allows bf16: its trial may have run on another processor."""
    monkeypatch.setattr(adapter_dense, "has_bf16", lambda _device: True)
    card = replace(family_card("unet"), precision="bf16")
    torch.manual_seed(0)
    network = Wrong(is_wrong=is_wrong)
    loaded = DenseSegmenter(network, card)
    assert loaded.bf16 != is_wrong
    tiles = drawn_tiles(card, 1)
    with torch.inference_mode():
        exact = network.float()(torch.from_numpy(tiles)).numpy()
    near = 1e-5 if is_wrong else 0.05
    np.testing.assert_allclose(loaded.forward(tiles)["logits"], exact, atol=near)


def test_only_classes_of_pixels_are_tried(tmp_path):
    card = family_card("unet")
    model = save_model(drawn_network(card), card, tmp_path / "unet")
    with pytest.raises(ModelError, match="there are 0 tiles"):
        try_bf16(model, drawn_tiles(card, 1)[:0])
    with pytest.raises(ModelError, match="gives heatmap"):
        try_bf16(load_model("oil-palm"), np.zeros((1, 3, 512, 512), np.float32))
