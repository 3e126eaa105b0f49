"""Published parts of Segment Anything become a model that answers as they do."""

import json
import socket
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_families import SMALL_SAM, drawn_tiles, family_card, spread
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import (
    SamConfig,
    SamMaskDecoderConfig,
    SamModel,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

from areca.errors import ModelError
from areca.models.adapter import load_network
from areca.models.architectures import adapt_first_layer
from areca.models.handle import load_model
from areca.models.sam_parts import import_sam, resize_positions

pytestmark = pytest.mark.filterwarnings(
    # peft 0.21 asks transformers 5.24 for this property by its old name.
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
RGB = ("red", "green", "blue")
DECODER = {"modules_to_save": ["mask_decoder", "no_mask_embed"]}
CARD = family_card("sam-lora", bands=RGB)
LABELS = len(CARD.labels)


def published(edge=128, masks=LABELS, seed=3):
    """Return what transformers builds, with drawn weights."""
    config = SamConfig(
        vision_config=SamVisionConfig(image_size=edge, num_pos_feats=16, **SMALL_SAM),
        prompt_encoder_config=SamPromptEncoderConfig(image_size=edge, hidden_size=32),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=32, num_multimask_outputs=masks
        ),
    )
    torch.manual_seed(seed)
    return spread(SamModel(config)).eval()


def saved_adapter(sam, folder, **settings):
    """Return an adapted network, after peft has saved its adapter."""
    settings = {"target_modules": ["qkv"], "r": 3, "lora_alpha": 5} | settings
    adapted = get_peft_model(sam, LoraConfig(**settings))
    torch.manual_seed(9)
    with torch.no_grad():
        for value in adapted.parameters():
            if value.requires_grad:
                value.normal_(std=0.3)
    adapted.save_pretrained(folder)
    return adapted.eval()


def expected(network, tiles):
    """Return logits of transformers (and peft), run directly."""
    with torch.inference_mode():
        masks = network(pixel_values=torch.from_numpy(tiles)).pred_masks[:, 0]
        size = tiles.shape[-2:]
        return functional.interpolate(masks, size, mode="bilinear").numpy()


@pytest.fixture
def base(tmp_path):
    published().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        DECODER,
        {"use_rslora": True, "target_modules": r".*\.(qkv|lin1|q_proj)"},
        {"use_dora": True, "rank_pattern": {"layers.1.attn.qkv": 1}},
    ],
    ids=["qkv", "decoder", "rslora", "dora"],
)
def test_parts_answer_as_transformers_and_peft_do(settings, base, tmp_path):
    theirs = saved_adapter(published(), tmp_path / "adapter", **settings)
    tiles = drawn_tiles(CARD, 2)
    model = import_sam(base, CARD, tmp_path / "model", adapter=tmp_path / "adapter")
    mine = load_network(load_model(tmp_path / "model")).forward(tiles)["logits"]
    wanted = expected(theirs, tiles)
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(mine, wanted, atol=1e-5)
    assert model.card.architecture_options["lora_rank"] == 0
    plain = expected(published(), tiles)
    assert np.abs(plain - wanted).max() > 0.01


def test_equal_parts_give_equal_bytes(base, tmp_path):
    saved_adapter(published(), tmp_path / "adapter", **DECODER)
    models = [
        import_sam(base, CARD, tmp_path / name, adapter=tmp_path / "adapter")
        for name in "ab"
    ]
    assert models[0].card.digest == models[1].card.digest


def test_an_adapter_brings_the_masks_that_the_base_has_not(tmp_path):
    published(masks=5).save_pretrained(tmp_path / "base")
    sam = published()
    of_masks = ("mask_tokens", "output_hypernetworks_mlps", "iou_prediction_head")
    others = {
        name: value
        for name, value in published(masks=5).state_dict().items()
        if not any(part in name for part in of_masks)
    }
    sam.load_state_dict(others, strict=False)
    theirs = saved_adapter(sam, tmp_path / "adapter", **DECODER)
    tiles = drawn_tiles(CARD, 1)
    parts = {"adapter": tmp_path / "adapter"}
    model = import_sam(tmp_path / "base", CARD, tmp_path / "model", **parts)
    mine = load_network(model).forward(tiles)["logits"]
    np.testing.assert_allclose(mine, expected(theirs, tiles), atol=1e-4)


def test_masks_that_no_part_has_are_refused(tmp_path):
    published(masks=5).save_pretrained(tmp_path / "base")
    saved_adapter(published(), tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"mask_tokens.*random.*modules_to_save"):
        import_sam(
            tmp_path / "base", CARD, tmp_path / "model", adapter=tmp_path / "adapter"
        )
    assert not (tmp_path / "model").exists()


def test_without_an_adapter_it_is_where_training_starts(base, tmp_path):
    card = family_card("sam-lora")
    model = import_sam(base, card, tmp_path / "model")
    assert model.card.architecture_options["lora_rank"] == 2
    tiles = drawn_tiles(card, 1)
    mine = load_network(model).forward(tiles)["logits"]
    sam = published()
    patches = sam.vision_encoder.patch_embed
    patches.projection = adapt_first_layer(patches.projection, card.bands)
    patches.num_channels = 4
    np.testing.assert_allclose(mine, expected(sam, tiles), atol=1e-4)


def test_positions_of_a_larger_image_are_resized_as_transformers_does(tmp_path):
    large, small = published(edge=256), published(edge=128, seed=4)
    large.save_pretrained(tmp_path / "base")
    model = import_sam(tmp_path / "base", CARD, tmp_path / "model")
    state = load_file(model.weights_path)
    assert state["sam.vision_encoder.pos_embed"].shape == (1, 8, 8, 32)
    for layer, length in ((0, 2 * 3 - 1), (1, 2 * 8 - 1)):
        name = f"sam.vision_encoder.layers.{layer}.attn.rel_pos_h"
        assert state[name].shape == (length, 16)
    # The second implementation: transformers itself resizes relative positions of
    # another length as it runs; halving without antialiasing is the mean of 2 x 2.
    own = large.state_dict()
    grid = own.pop("vision_encoder.pos_embed").unflatten(1, (8, 2)).unflatten(3, (8, 2))
    own["vision_encoder.pos_embed"] = grid.mean((2, 4))
    attention = small.vision_encoder.layers[1].attn
    for axis in ("rel_pos_h", "rel_pos_w"):
        setattr(attention, axis, getattr(large.vision_encoder.layers[1].attn, axis))
    small.load_state_dict(own)
    tiles = drawn_tiles(CARD, 1)
    mine = load_network(model).forward(tiles)["logits"]
    np.testing.assert_allclose(mine, expected(small, tiles), atol=1e-4)


def test_positions_of_the_same_size_stay_untouched():
    state = published().state_dict()
    resized = resize_positions(state, published(seed=4).state_dict(), [1])
    assert resized.keys() == state.keys()
    for name, value in state.items():
        assert resized[name] is value


def test_a_straight_line_of_positions_stays_straight():
    wide = {"vision_encoder.pos_embed": torch.zeros(1, 16, 16, 1)}
    ramp = (torch.arange(16) + 0.5) / 16
    wide["vision_encoder.pos_embed"] += ramp[:, None, None] + 10 * ramp[:, None]
    small = {"vision_encoder.pos_embed": torch.zeros(1, 8, 8, 1)}
    (value,) = resize_positions(wide, small, []).values()
    ramp = (torch.arange(8) + 0.5) / 8
    wanted = ramp[:, None, None] + 10 * ramp[:, None]
    torch.testing.assert_close(value, wanted[None])


def test_windows_of_another_size_are_refused(base, tmp_path):
    options = {"encoder": SMALL_SAM | {"window_size": 5}}
    card = replace(CARD, architecture_options=options)
    with pytest.raises(ModelError, match=r"layers\.0\.attn\.rel_pos_h \(5, 16\)"):
        import_sam(base, card, tmp_path / "model")


def test_nothing_is_asked_of_a_network(base, tmp_path, monkeypatch):
    saved_adapter(published(), tmp_path / "adapter", **DECODER)
    named = tmp_path / "adapter" / "adapter_config.json"
    settings = json.loads(named.read_text())
    settings |= {"base_model_name_or_path": "facebook/sam-vit-base", "revision": "main"}
    named.write_text(json.dumps(settings))
    asked = []

    def refuse(*address, **_settings):
        asked.append(address)
        raise OSError

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model = import_sam(base, CARD, tmp_path / "model", adapter=tmp_path / "adapter")
    load_network(model).forward(drawn_tiles(CARD, 1))
    assert asked == []
    # The watch itself does see who asks.
    with pytest.raises(OSError):  # noqa: PT011 - drawn above
        socket.create_connection(("localhost", 9))
    assert asked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"peft_type": "IA3"}, "'IA3'; only LORA"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights to 'pissa'"),
        ({"layer_replication": [[0, 1], [0, 2]]}, "layer_replication"),
        ({"megatron_config": {"a": 1}}, "megatron_config"),
        ({"of_another_time": 3}, "of_another_time to 3"),
        ({"r": 4}, r"another shape.*\(3, 32\) for \(4, 32\)"),
        ({"r": 0}, "is no LoRA|does not fit"),
        ({"target_modules": ["lin1"]}, "missing"),
        ({"target_modules": ["nowhere"]}, "does not fit Segment Anything.*nowhere"),
    ],
)
def test_an_adapter_that_cannot_be_read_is_refused(change, said, base, tmp_path):
    saved_adapter(published(), tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=said):
        import_sam(base, CARD, tmp_path / "model", adapter=tmp_path / "adapter")


def test_numbers_that_are_not_finite_are_not_merged(base, tmp_path):
    saved_adapter(published(), tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    state = load_file(path)
    next(iter(state.values()))[0] = torch.nan
    save_file(state, path)
    with pytest.raises(ModelError, match=r"does not fit Segment Anything.*NaN"):
        import_sam(base, CARD, tmp_path / "model", adapter=tmp_path / "adapter")


def test_a_missing_part_is_named(base, tmp_path):
    (tmp_path / "adapter").mkdir()
    with pytest.raises(ModelError, match=r"adapter_config\.json; give"):
        import_sam(base, CARD, tmp_path / "model", adapter=tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"elsewhere; give.*save_pretrained"):
        import_sam(tmp_path / "elsewhere", CARD, tmp_path / "model")


def test_only_a_sam_lora_is_made_of_parts(base, tmp_path):
    with pytest.raises(ModelError, match="architecture unet"):
        import_sam(base, family_card("unet"), tmp_path / "model")
