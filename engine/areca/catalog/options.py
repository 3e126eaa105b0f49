"""How a cube is opened, beyond what and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

TimeMode = Literal["mosaic", "each", "day"]
Method = Literal[
    "nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeOptions:
    """Knobs of `areca.open_cube`."""

    time: TimeMode = "mosaic"
    """`mosaic`: the newest valid pixel of all items, dims (band, y, x).

    `each`: a layer an item, `day`: a layer a solar day (the mosaic of its items), both
    with dims (time, band, y, x), the oldest first.
    """
    resampling: Mapping[str, Method] = field(default_factory=dict)
    """Method by name of band, where items are warped; `*` means all other bands of
    reflectance. Left out: `bilinear`, `average` where pixels become at least twice as
    large, `nearest` for bands of classes and quality bits."""
    chunk_px: int = 2048
    """Edge of a Dask chunk."""

    def __post_init__(self) -> None:
        if self.time not in get_args(TimeMode):
            raise InputError(
                f"time={self.time!r} is none of {', '.join(get_args(TimeMode))}"
            )
        for band, method in self.resampling.items():
            if method not in get_args(Method):
                raise InputError(
                    f"resampling of {band!r} is {method!r}, none of "
                    f"{', '.join(get_args(Method))}"
                )
        if self.chunk_px < 1:
            raise InputError(f"chunk_px must be at least 1, got {self.chunk_px}")
