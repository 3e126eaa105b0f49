"""Segment Anything with LoRA: sizes, adapters, what is trained, and that it learns."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_families import SMALL_SAM, drawn_network, drawn_tiles, family_card
from torch.nn import functional

from areca.errors import ModelError
from areca.models import architectures
from areca.models.adapter import load_network
from areca.models.architectures import build_network
from areca.models.network import count_parameters
from areca.models.weights import save_model

RGB = ("red", "green", "blue")
PLAIN = {"encoder": SMALL_SAM, "lora_rank": 0}


def logits(network, tiles):
    with torch.inference_mode():
        return network(torch.from_numpy(tiles)).numpy()


# Model cards of facebook/sam-vit-base, -large and -huge: 93.7 M, 312 M and 641 M.
@pytest.mark.parametrize(
    ("name", "millions"), [("base", 93.735), ("large", 312.343), ("huge", 641.091)]
)
def test_an_encoder_by_name_has_the_published_size(name, millions):
    options = {"encoder": name, "lora_rank": 0}
    card = family_card(
        "sam-lora", options, bands=RGB, tile_px=1024, labels=("a", "b", "c")
    )
    with torch.device("meta"):
        network = build_network(card)
    assert count_parameters(network) == pytest.approx(millions * 1e6, abs=1e3)


def test_by_default_it_is_the_base_with_adapters_of_rank_4():
    card = family_card("sam-lora", {}, bands=RGB)
    with torch.device("meta"):
        network = build_network(card)
    adapters = {
        name: value.shape
        for name, value in network.named_parameters()
        if "lora_" in name
    }
    # 12 blocks, query and value, two matrices each.
    assert len(adapters) == 12 * 2 * 2
    assert set(adapters.values()) == {(4, 768), (768, 4)}
    assert not [name for name in adapters if ".qkv.k." in name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoder": "giant"}, "'giant'.* base, large, huge"),
        ({"encoder": {"depth": 3}}, "depth are none"),
        ({"encoder": SMALL_SAM | {"hidden_size": "32"}}, "hidden_size is '32'"),
        ({"encoder": SMALL_SAM | {"window_size": 0}}, "window_size is 0"),
        ({"encoder": SMALL_SAM | {"num_attention_heads": 5}}, "32 is no multiple"),
        ({"encoder": SMALL_SAM | {"output_channels": 24}}, "a multiple of 16"),
        ({"encoder": SMALL_SAM | {"global_attn_indexes": [2]}}, "2 layers from 0"),
        ({"encoder": 7}, "do not fit sam-lora"),
        ({"lora_rank": -1}, "lora_rank is -1"),
        ({"lora_rank": 2.5}, r"lora_rank is 2\.5"),
        ({"lora_alpha": 0}, "lora_alpha is 0"),
    ],
)
def test_an_option_that_cannot_be_is_named(options, said):
    with pytest.raises(ModelError, match=said):
        build_network(family_card("sam-lora", options))


@pytest.mark.parametrize("module", ["transformers", "peft"])
def test_a_missing_library_is_named_with_its_extra(module, monkeypatch):
    found = architectures.importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == module else found(name)
    )
    with pytest.raises(ModelError, match=rf"needs {module} .*areca\[sam\]"):
        build_network(family_card("sam-lora"))


def test_other_families_do_without_transformers():
    program = (
        "import sys, areca.models.adapter, areca.models.segmenters\n"
        "print(sorted({'transformers', 'peft'} & set(sys.modules)))"
    )
    asked = [sys.executable, "-c", program]
    said = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_an_adapter_that_was_not_trained_changes_nothing():
    torch.manual_seed(1)
    adapted = build_network(family_card("sam-lora"))
    plain = build_network(family_card("sam-lora", PLAIN))
    adapted.fold()
    plain.load_state_dict(adapted.state_dict())
    tiles = drawn_tiles(family_card("sam-lora"), 1)
    np.testing.assert_array_equal(logits(adapted, tiles), logits(plain, tiles))


def test_merged_adapters_answer_as_unmerged_ones(tmp_path):
    card = family_card("sam-lora")
    network = drawn_network(card)
    tiles = drawn_tiles(card, 2)
    before = logits(network, tiles)
    loaded = load_network(save_model(network, card, tmp_path))
    after = loaded.forward(tiles)["logits"]
    assert np.ptp(before) > 1
    np.testing.assert_allclose(after, before, atol=1e-5)
    # What runs is plain Segment Anything: no adapter and no split projection is left.
    plain = build_network(family_card("sam-lora", PLAIN))
    assert loaded._network.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "lora_B" in name:
                value.zero_()
    without = logits(network, tiles)
    assert np.abs(without - before).max() > 0.01


def test_alpha_scales_the_adapters():
    card = family_card("sam-lora")
    tiles = drawn_tiles(card, 1)
    answers = {}
    for alpha in (2, 4):
        options = card.architecture_options | {"lora_alpha": alpha}
        network = drawn_network(replace(card, architecture_options=options))
        answers[alpha] = logits(network, tiles)
    assert not np.allclose(answers[2], answers[4], atol=1e-3)
    # The rank is 2: an alpha of 2 is the default.
    np.testing.assert_array_equal(answers[2], logits(drawn_network(card), tiles))


@pytest.mark.parametrize("bands", [RGB, (*RGB, "nir")])
def test_gradients_reach_adapters_prompt_and_decoder_alone(bands):
    card = family_card("sam-lora", bands=bands)
    network = drawn_network(card).train()
    network(torch.from_numpy(drawn_tiles(card, 1))).square().mean().backward()
    reached = {
        name
        for name, value in network.named_parameters()
        if value.grad is not None and value.grad.abs().sum() > 0
    }
    adapters = {name for name in reached if "lora_" in name}
    assert len(adapters) == 2 * 2 * 2
    rest = {
        name.split(".")[1] + "." + name.split(".")[2] for name in reached - adapters
    }
    encoder = {name for name in rest if name.startswith("vision_encoder")}
    assert encoder == (set() if bands == RGB else {"vision_encoder.patch_embed"})
    assert "prompt_encoder.no_mask_embed" in rest
    others = {name for name in rest - encoder if not name.startswith("mask_decoder")}
    assert others == {"prompt_encoder.no_mask_embed"}
    assert {"mask_decoder.mask_tokens", "mask_decoder.transformer"} <= rest


def scenes(card, count, rng):
    """Return tiles and labels: noisy ground of class 0 with a disc of class 1."""
    edge = card.tile_px
    row, col = np.indices((edge, edge))
    tiles = rng.normal(size=(count, len(card.bands), edge, edge)).astype(np.float32)
    labels = np.zeros((count, edge, edge), np.int64)
    for tile, label in zip(tiles, labels, strict=True):
        y, x = rng.uniform(0.2 * edge, 0.8 * edge, 2)
        label[np.hypot(row - y, col - x) < rng.uniform(0.3, 0.5) * edge] = 1
        tile[:, label == 1] += np.float32([2, -2, 1])[:, None]
    return torch.from_numpy(tiles), torch.from_numpy(labels)


@pytest.fixture
def one_thread():
    """Small layers on two threads wait for each other, up to 16 times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_small_network_learns_a_drawn_scene_of_two_classes():
    card = family_card("sam-lora", bands=RGB, tile_px=96, labels=("ground", "palm"))
    torch.manual_seed(0)
    network = build_network(card).train()
    weights = dict(network.named_parameters())
    trained = {name for name, value in weights.items() if value.requires_grad}
    before = {name: value.detach().clone() for name, value in weights.items()}
    optimizer = torch.optim.AdamW([weights[name] for name in trained], lr=5e-3)
    rng = np.random.default_rng(0)
    for _ in range(100):
        tiles, labels = scenes(card, 8, rng)
        loss = functional.cross_entropy(network(tiles), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved = {n for n, value in weights.items() if not torch.equal(before[n], value)}
    assert moved <= trained
    assert {name for name in trained if "lora_" in name} <= moved
    network.fold()
    tiles, labels = scenes(card, 16, rng)
    with torch.inference_mode():
        right = network(tiles).argmax(1) == labels
    assert 0.3 < labels.float().mean() < 0.7
    assert right.float().mean() > 0.9
