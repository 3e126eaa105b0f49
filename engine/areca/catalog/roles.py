"""What a band holds, and so how its pixels may be resampled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from areca.catalog.scenes import SceneBand

SHRINK_BY_MEAN = 2.0 * 0.99
"""From this ratio of pixel edges on, a pixel is the mean of what it covers.

1 % less than twice: the ratio is measured on the ground, where 10 m to 20 m can be
1.99999."""

COMMON_NAMES = frozenset({
    "pan", "coastal", "blue", "green", "green05", "yellow", "red", "rededge",
    "rededge071", "rededge075", "rededge078", "nir", "nir08", "nir09", "cirrus",
    "swir16", "swir22", "lwir", "lwir11", "lwir12",
})  # fmt: skip
"""Common names of bands in STAC (electro-optical extension 2.0)."""

_CLASSES = re.compile(
    r"scl|f_?mask|oa_fmask|cfmask|bqa|qa\d*|qa_\w+|\w+_qa|msk_\w+|lulc\w*|"
    r"land_?cover\w*|class(es|ification)?|labels?|mask|\w+_mask"
)


def is_categorical(band: SceneBand) -> bool:
    """Return whether a band holds classes or quality bits, which have no mean.

    So says its item (classes or bit fields of the classification extension), or its
    name: SCL, Fmask, BQA, QA_PIXEL and their like.
    """
    return band.categorical or any(map(names_classes, (band.name, *band.aliases)))


def names_classes(name: str) -> bool:
    """Return whether a band of this name holds classes or quality bits."""
    return _CLASSES.fullmatch(name.lower()) is not None


def method_of(band: SceneBand, shrink: float, asked: Mapping[str, str]) -> str:
    """Return how a band is resampled.

    Args:
        band: The band.
        shrink: Edge of a target pixel in pixels of the band.
        asked: Method by name or alias of a band; `*` means all that are no classes.
    """
    for name in (band.name, *band.aliases):
        if name in asked:
            return asked[name]
    if is_categorical(band):
        return "nearest"
    default = "average" if shrink >= SHRINK_BY_MEAN else "bilinear"
    return asked.get("*", default)
