"""The functions of features: what each is called, takes and must see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from areca.errors import BandError
from areca.features import clahe, cooccurrence, edges, filters, focal, relief

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from areca.features.layer import Layer

    Reach = Callable[[Mapping[str, float]], int]

Group: TypeAlias = Literal["terrain", "texture", "filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """A function of a layer whose pixels need their surroundings."""

    name: str
    group: Group
    about: str
    compute: Callable[[Layer, Mapping[str, float]], NDArray[np.float32]]
    """Returns the shape of the layer; pixels nearer to its edge than the reach are
    as if nothing lay beyond, and are cut off by the caller."""
    reach: Reach
    """Pixels around a pixel that it needs, for some options."""
    options: Mapping[str, float | None] = field(default_factory=dict)
    """What may follow the layer, with defaults; None must be given."""

    @property
    def usage(self) -> str:
        """How it is written, for example `std(band, window=5)`."""
        words = [
            name if value is None else f"{name}={value:g}"
            for name, value in self.options.items()
        ]
        return f"{self.name}({', '.join(['band', *words])})"


def _one(_: Mapping[str, float]) -> int:
    return 1


def _half(options: Mapping[str, float]) -> int:
    return int(options["window"]) // 2


def _sigma(options: Mapping[str, float]) -> int:
    return filters.gaussian_radius(options["sigma"])


def _cell(options: Mapping[str, float]) -> int:
    return clahe.clahe_reach(options["cell"])


_Z = {"z": 1.0}
_SUN = {"azimuth": 315.0, "altitude": 45.0, "z": 1.0}
_WINDOW = {"window": 5.0}
_RANGE = {"low": None, "high": None}
_LEVELS = {"window": 7.0, "levels": 16.0, **_RANGE}
_PAIRS = {**_LEVELS, "distance": 1.0}

_TABLE: tuple[
    tuple[
        Group,
        str,
        Callable[[Layer, Mapping[str, float]], NDArray[np.float32]],
        Reach,
        Mapping[str, float | None],
        str,
    ],
    ...,
] = (
    ("terrain", "slope", relief.slope, _one, _Z, "steepness, degrees (Horn)"),
    ("terrain", "aspect", relief.aspect, _one, _Z,
     "where the ground falls to, degrees clockwise from north; NaN where level"),
    ("terrain", "northness", relief.northness, _one, _Z,
     "sine of the slope times cosine of the aspect"),
    ("terrain", "eastness", relief.eastness, _one, _Z,
     "sine of the slope times sine of the aspect"),
    ("terrain", "hillshade", relief.hillshade, _one, _SUN, "shaded relief, 1 to 255"),
    ("terrain", "tpi", relief.tpi, _one, _Z,
     "height less the mean of 8 neighbours, m"),
    ("terrain", "tri", relief.tri, _one, _Z, "ruggedness (Riley), m"),
    ("terrain", "roughness", relief.roughness, _one, _Z, "range of 3 x 3 heights, m"),
    ("texture", "mean", focal.focal_mean, _half, _WINDOW, "mean of a window"),
    ("texture", "std", focal.focal_std, _half, _WINDOW, "standard deviation"),
    ("texture", "range", focal.focal_range, _half, _WINDOW, "largest less smallest"),
    ("texture", "entropy", focal.focal_entropy, _half, _LEVELS,
     "Shannon entropy of the levels of a window, bits"),
    ("texture", "contrast", cooccurrence.contrast, _half, _PAIRS,
     "co-occurrence: mean squared difference of levels"),
    ("texture", "dissimilarity", cooccurrence.dissimilarity, _half, _PAIRS,
     "co-occurrence: mean difference of levels"),
    ("texture", "homogeneity", cooccurrence.homogeneity, _half, _PAIRS,
     "co-occurrence: mean of 1 / (1 + squared difference)"),
    ("texture", "correlation", cooccurrence.correlation, _half, _PAIRS,
     "co-occurrence: correlation of levels"),
    ("texture", "asm", cooccurrence.asm, _half, _PAIRS,
     "co-occurrence: angular second moment"),
    ("texture", "energy", cooccurrence.energy, _half, _PAIRS,
     "co-occurrence: square root of asm"),
    ("texture", "sobel", edges.sobel, _one, {}, "strength of edges (Sobel)"),
    ("texture", "gradient", edges.gradient, _one, {},
     "length of the gradient, units a pixel"),
    ("texture", "lbp", edges.lbp, _one, {}, "local binary pattern, 0 to 255"),
    ("filter", "gaussian", filters.gaussian, _sigma, {"sigma": 1.0}, "Gaussian mean"),
    ("filter", "median", filters.median, _half, _WINDOW, "median of a window"),
    ("filter", "sharpen", filters.sharpen, _sigma, {"sigma": 1.0, "amount": 1.0},
     "unsharp mask"),
    ("filter", "clahe", clahe.clahe, _cell, {"cell": 128.0, "clip": 0.01, **_RANGE},
     "contrast-limited adaptive histogram equalisation, 0 to 1"),
)  # fmt: skip

NEIGHBOURHOODS: dict[str, Neighbourhood] = {
    name: Neighbourhood(
        name=name,
        group=group,
        about=about,
        compute=compute,
        reach=reach,
        options=options,
    )
    for group, name, compute, reach, options, about in _TABLE
}
"""Functions by name."""

_RULES: dict[str, tuple[Callable[[float], bool], str]] = {
    "window": (lambda v: v >= 3 and v % 2 == 1, "an odd number of pixels, 3 or more"),
    "levels": (lambda v: v in range(2, 257), "a whole number from 2 to 256"),
    "distance": (lambda v: v >= 1 and v % 1 == 0, "a whole number of pixels"),
    "sigma": (lambda v: 0 < v < np.inf, "pixels, more than 0"),
    "cell": (lambda v: v >= 8 and v % 1 == 0, "a whole number of pixels, 8 or more"),
    "clip": (lambda v: 0 < v <= 1, "a share, 0 to 1"),
    "z": (lambda v: 0 < v < np.inf, "metres in a unit of height, more than 0"),
}


def check_options(function: Neighbourhood, options: Mapping[str, float]) -> None:
    """Refuse options that cannot be.

    Args:
        function: What they are for.
        options: All its options.

    Raises:
        BandError: Names the option, its value and what it must be.
    """
    for name, value in options.items():
        fits, words = _RULES.get(name, (np.isfinite, "a number"))
        if not fits(value):
            raise BandError(
                f"{function.name} got {name}={value:g}, which must be {words}: "
                f"{function.usage}"
            )
    if "low" in options and options["low"] >= options["high"]:
        raise BandError(
            f"{function.name} got values from low={options['low']:g} to "
            f"high={options['high']:g}; low must be less: {function.usage}"
        )
    if options.get("distance", 0) >= options.get("window", np.inf):
        raise BandError(
            f"{function.name} got pairs {options['distance']:g} pixels apart in a "
            f"window of {options['window']:g}; make the window larger"
        )
