"""Darknet's files of weights: every number goes to its place, or none does."""

import struct
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from model_families import drawn_network, drawn_tiles, family_card

from areca.errors import ModelError
from areca.models.adapter import load_network
from areca.models.adapter_yolo import YoloDetector
from areca.models.card_file import card_to_item, read_card, write_card
from areca.models.darknet import darknet_tensors, load_darknet
from areca.models.handle import Model
from areca.models.network import count_parameters
from areca.models.yolo import YoloV3

HEADER = struct.pack("<3iq", 0, 2, 5, 32_013_312)
"""As of a network trained on 32 million images."""
PUBLISHED_BYTES = 248_007_048
"""Size of yolov3.weights, trained on the 80 classes of COCO."""
PUBLISHED_NUMBERS = 62_001_757


def layers(blocks):
    """Yield convolutions in the order of yolov3.cfg, and whether each has a norm."""
    yield "stem", True
    for stage, count in enumerate(blocks):
        yield f"stages.{stage}.0", True
        for block in range(1, count + 1):
            yield f"stages.{stage}.{block}.squeeze", True
            yield f"stages.{stage}.{block}.expand", True
    for grid in range(3):
        if grid:
            yield f"grids.{grid}.lateral", True
        for number in range(5):
            yield f"grids.{grid}.mix.{number}", True
        yield f"grids.{grid}.last", True
        yield f"grids.{grid}.head", False


def written(network, blocks, header=HEADER, first=("norm.bias", "norm.weight")):
    """Return the file that Darknet would write of a network, by names alone."""
    state = network.state_dict()
    rest = ("norm.running_mean", "norm.running_var", "conv.weight")
    data = bytearray(header)
    for name, has_norm in layers(blocks):
        for part in (*first, *rest) if has_norm else ("bias", "weight"):
            data += state[f"{name}.{part}"].numpy().astype("<f4").tobytes()
    return bytes(data)


def on_disk(card, data, folder):
    (folder / "yolov3.weights").write_bytes(data)
    digest = sha256(data).hexdigest()
    card = replace(card, format="darknet", weights="yolov3.weights", sha256=digest)
    return Model(card, folder)


@pytest.fixture(scope="module")
def card():
    return family_card("yolov3")


@pytest.fixture(scope="module")
def network(card):
    """A network of which every number is another, the counters of norms aside."""
    network = drawn_network(card)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if name.endswith(("norm.weight", "norm.bias")):
                values.add_(torch.rand_like(values) * 0.2)
    return network


@pytest.fixture(scope="module")
def blocks(card):
    return card.architecture_options["blocks"]


def test_the_network_of_the_paper_takes_every_number_of_the_published_file():
    with torch.device("meta"):
        network = YoloV3(bands=3, classes=80)
    assert len(HEADER) + 4 * PUBLISHED_NUMBERS == PUBLISHED_BYTES
    assert sum(t.numel() for t in darknet_tensors(network)) == PUBLISHED_NUMBERS
    # Means and variances of the norms are no parameters.
    norms = sum(v.numel() for n, v in network.named_buffers() if "running" in n)
    assert count_parameters(network) == PUBLISHED_NUMBERS - norms == 61_949_149
    load_darknet(network, HEADER + bytes(4 * PUBLISHED_NUMBERS), "it")
    with pytest.raises(ModelError, match=r"62,001,756 numbers.* takes 62,001,757"):
        load_darknet(network, HEADER + bytes(4 * PUBLISHED_NUMBERS - 4), "it")


@pytest.mark.parametrize("change", [{"classes": 79}, {"bands": 4}, {"blocks": [1] * 5}])
def test_another_network_does_not_take_the_published_file(change):
    with torch.device("meta"):
        network = YoloV3(**change)
    with pytest.raises(ModelError, match=r"has 62,001,757 numbers.*labels, bands"):
        load_darknet(network, HEADER + bytes(4 * PUBLISHED_NUMBERS), "it")


@pytest.mark.parametrize(
    "header", [HEADER, struct.pack("<4i", 0, 1, 0, 7)], ids=["0.2", "0.1"]
)
def test_a_written_network_comes_back_number_by_number(
    network, card, blocks, header, tmp_path
):
    model = on_disk(card, written(network, blocks, header), tmp_path)
    tiles = drawn_tiles(card, 2)
    expected = YoloDetector(deepcopy(network), card).forward(tiles)

    found = load_network(model).forward(tiles)

    assert len(expected["scores"][0]) > 20
    for name, values in expected.items():
        for one, other in zip(found[name], values, strict=True):
            np.testing.assert_array_equal(one, other)


def test_numbers_in_another_order_give_another_network(network, card, blocks):
    right, wrong = (
        YoloV3(classes=3, bands=4, **card.architecture_options) for _ in "ab"
    )
    load_darknet(right, written(network, blocks), "it")
    swapped = written(network, blocks, first=("norm.weight", "norm.bias"))
    load_darknet(wrong, swapped, "it")
    state = network.state_dict()
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    for name in state.keys() - counters:
        assert torch.equal(right.state_dict()[name], state[name]), name
    assert not torch.equal(wrong.stem.norm.bias, state["stem.norm.bias"])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data[:-4], r"numbers, the network takes"),
        (lambda data: data + bytes(4), r"numbers, the network takes"),
        (lambda data: data[:-1], "bytes are no header of 20 and whole numbers of 4"),
        (lambda data: data[:17], "17 bytes are no header of 20"),
        (lambda data: data[:11], "11 bytes are too few"),
        (lambda data: b"\x93NUMPY\x01\x00" + data[8:], "no Darknet file"),
        (lambda data: data[:0], "0 bytes are too few"),
    ],
    ids=["short", "long", "cut", "header cut", "stub", "another format", "empty"],
)
def test_a_damaged_file_is_refused_with_what_was_seen(
    network, card, blocks, tmp_path, spoil, said
):
    model = on_disk(card, spoil(written(network, blocks)), tmp_path)
    with pytest.raises(ModelError, match=said) as caught:
        load_network(model)
    assert "yolov3.weights" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_numbers_are_counted(network, card, blocks, tmp_path):
    data = written(network, blocks)
    count = (len(data) - len(HEADER)) // 4
    model = on_disk(card, data + bytes(8), tmp_path)
    with pytest.raises(ModelError, match=f"{count + 2:,} numbers.* takes {count:,}"):
        load_network(model)


def test_a_card_says_its_weights_are_of_darknet(card, tmp_path):
    told = replace(card, format="darknet", weights="yolov3.weights")
    write_card(told, tmp_path / "model.json")
    assert read_card(tmp_path / "model.json") == told
    assert card_to_item(told)["assets"]["weights"]["mlm:artifact_type"] == "darknet"
    assert told.digest != card.digest
    with pytest.raises(ModelError, match="unet cannot take it; it goes with yolov3"):
        family_card("unet", format="darknet")
