"""Architectures are built by name; options and bands that do not fit are named."""

import pytest
import torch
from model_families import DETECTORS, SEGMENTERS, family_card
from torch import nn
from torchvision.models.detection import (
    fasterrcnn_resnet50_fpn,
    fcos_resnet50_fpn,
    maskrcnn_resnet50_fpn,
    retinanet_resnet50_fpn,
)

from areca.errors import ModelError
from areca.models.architectures import adapt_first_layer, build_network, widen


def shapes(network):
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("fasterrcnn", fasterrcnn_resnet50_fpn),
        ("maskrcnn", maskrcnn_resnet50_fpn),
        ("retinanet", retinanet_resnet50_fpn),
        ("fcos", fcos_resnet50_fpn),
    ],
)
def test_by_default_a_checkpoint_of_torchvision_fits(name, build):
    with torch.device("meta"):
        mine = build_network(family_card(name, {}, bands=("red", "green", "blue")))
        theirs = build(weights=None, weights_backbone=None, num_classes=4)
    assert shapes(mine) == shapes(theirs)


@pytest.mark.parametrize("name", [*DETECTORS, *SEGMENTERS])
def test_the_first_layer_takes_the_bands_of_the_card(name):
    network = build_network(family_card(name))
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    assert first.in_channels == 4


@pytest.mark.parametrize("name", [*DETECTORS, *SEGMENTERS])
def test_an_option_that_is_none_is_named(name):
    with pytest.raises(ModelError, match="girth are none"):
        build_network(family_card(name, {"girth": 8}))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("fasterrcnn", {"backbone": "resnet7"}, "resnet7"),
        ("fasterrcnn", {"num_classes": 7}, "num_classes"),
        ("retinanet", {"anchor_sizes": [[8], [16]]}, "2 levels"),
        ("deeplabv3", {"backbone": "vgg"}, "vgg"),
        ("unet", {"encoder": "resnet7"}, "resnet7"),
        ("unet", {"classes": 7}, "classes"),
        ("unet", {"encoder_weights": "imagenet"}, "encoder_weights"),
    ],
)
def test_an_option_with_a_value_that_cannot_be_is_named(name, options, said):
    with pytest.raises(ModelError, match=said):
        build_network(family_card(name, options))


def test_a_tile_too_small_for_ssd300_is_refused():
    with pytest.raises(ModelError, match="128 px is too small"):
        build_network(family_card("ssd300", tile_px=128))


def test_a_whole_file_cannot_be_built():
    card = family_card(
        "unet",
        {"contract": "logits"},
        architecture="file",
        format="onnx",
        weights="net.onnx",
    )
    with pytest.raises(ModelError, match=r"whole in net\.onnx"):
        build_network(card)


@pytest.mark.parametrize(
    ("bands", "slots"),
    [
        (("red", "green", "blue", "nir"), (0, 1, 2)),
        (("blue", "green", "red", "nir", "ndvi"), (2, 1, 0)),
        (("b1", "b2", "b3", "b4", "b5", "b6"), (0, 1, 2)),
    ],
)
@pytest.mark.parametrize("how", ["mean", "copy-red", "random"])
def test_red_green_and_blue_keep_their_weights(bands, slots, how):
    conv = nn.Conv2d(3, 5, 7, stride=2, padding=3)
    wide = adapt_first_layer(conv, bands, how)
    assert torch.equal(wide.weight[:, list(slots)], conv.weight)
    assert torch.equal(wide.bias, conv.bias)
    image = torch.zeros(1, len(bands), 32, 32)
    rgb = torch.randn(1, 3, 32, 32)
    image[:, list(slots)] = rgb
    assert torch.allclose(wide(image), conv(rgb), atol=1e-5)
    others = wide.weight[:, [i for i in range(len(bands)) if i not in slots]]
    expected = {
        "mean": conv.weight.mean(1, keepdim=True),
        "copy-red": conv.weight[:, :1],
    }
    if how == "random":
        assert not torch.allclose(others[:, 0], expected["mean"][:, 0])
        assert others.std() > 0
    else:
        assert torch.equal(others, expected[how].expand_as(others))


def test_a_single_band_takes_the_mean():
    conv = nn.Conv2d(3, 5, 3, bias=False)
    wide = adapt_first_layer(conv, ("nir",), "mean")
    assert wide.bias is None
    assert torch.equal(wide.weight, conv.weight[:, :1])


def test_a_network_of_red_green_blue_is_left_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    first = network[0]
    assert widen(network, ("red", "green", "blue"))[0] is first
    swapped = widen(network, ("blue", "green", "red"))[0]
    assert torch.equal(swapped.weight, first.weight.flip(1))


@pytest.mark.parametrize(
    ("conv", "how", "said"),
    [
        (nn.Conv2d(4, 8, 3), "mean", "takes 4 bands"),
        (nn.Conv2d(3, 8, 3), "median", "median"),
    ],
)
def test_a_layer_that_cannot_be_adapted_is_refused(conv, how, said):
    with pytest.raises(ModelError, match=said):
        adapt_first_layer(conv, ("red", "nir"), how)


def test_anchors_of_a_card_reach_every_network_that_has_some():
    """The builder of fasterrcnn-mobilenet brings anchors of its own."""
    for name, levels in (("fasterrcnn", 5), ("fasterrcnn-mobilenet", 3)):
        sizes = [[8 * 2**level, 12 * 2**level] for level in range(levels)]
        options = {"anchor_sizes": sizes, "anchor_ratios": [1.0]}
        if name == "fasterrcnn":
            options["backbone"] = "resnet18"
        network = build_network(family_card(name, options)).eval()
        assert network.rpn.anchor_generator.sizes == tuple(map(tuple, sizes))
        assert network.rpn.head.cls_logits.out_channels == 2
        with torch.inference_mode():
            (found,) = network(list(torch.zeros(1, 4, 128, 128)))
        assert set(found) == {"boxes", "labels", "scores"}
