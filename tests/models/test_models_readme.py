"""What the page about models says of torchvision is what torchvision does."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torchvision.models import detection

import areca.models
from areca.models.card import ModelCard
from areca.models.contracts import FILE_FORMATS, FORMATS

PAGE = (Path(areca.models.__file__).parent / "README.md").read_text(encoding="utf-8")
BUILD = {
    "fasterrcnn-mobilenet": detection.fasterrcnn_mobilenet_v3_large_fpn,
    "retinanet": detection.retinanet_resnet50_fpn,
    "ssd300": detection.ssd300_vgg16,
    "ssd": detection.ssdlite320_mobilenet_v3_large,
}


@pytest.mark.parametrize("name", BUILD)
def test_mean_and_std_of_the_page_standardise_as_torchvision_does(name):
    row = re.search(rf"^\|[^|]*`{name}`[^|]*\|([^|]*)\|([^|]*)\|$", PAGE, re.MULTILINE)
    mean, std = (
        torch.tensor([float(part) for part in cell.split(",")])[:, None, None]
        for cell in row.groups()
    )
    pixels = torch.randint(0, 256, (3, 8, 8)).float()
    own = BUILD[name](weights=None, weights_backbone=None).transform

    expected = own.normalize(pixels / 255)

    # The rounding of the page: 117 for 255 * 0.45882.
    torch.testing.assert_close((pixels - mean) / std, expected, atol=2e-3, rtol=1e-4)


def test_every_field_and_format_stands_on_the_page():
    assert [f.name for f in fields(ModelCard) if f"`{f.name}`" not in PAGE] == []
    assert [name for name in FORMATS if f"`{name}`" not in PAGE] == []
    table = PAGE.partition("A network whole in its file")[2]
    assert [name for name in FILE_FORMATS if f"| `{name}` |" not in table] == []
