"""How a cube is opened, beyond what and where."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from areca.catalog.backends import reader_named
from areca.catalog.signing import Signer, signer_named
from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

TimeMode = Literal["mosaic", "each", "day"]
Method = Literal[
    "nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode"
]


_SECRET = re.compile(r"SECRET|TOKEN|PASSW|KEY|SIGNATURE|CREDENTIAL|USERPWD|HEADER")


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeOptions:
    """Knobs of `areca.open_cube`.

    Attributes:
        time: `mosaic`: the newest valid pixel of all items, dims (band, y, x).

            `each`: a layer an item, `day`: a layer a solar day (the mosaic of its
            items), both with dims (time, band, y, x), the oldest first.
        resampling: Method by name of band, where items are warped; `*` means all other
            bands of reflectance. Left out: `bilinear`, `average` where pixels become
            1.98 times as large or more, `nearest` for bands of classes and quality
            bits.
        reader: Who reads stored pixels: `direct` (rasterio), or `odc-stac` or
            `stackstac` of the extra `readers`. All give the same cube; stackstac takes
            files of one band only.
        scale_offset: Scale and offset by name of band, in place of what the items tell;
            `*` means all bands that hold no classes. `{"*": (1, 0)}` gives stored
            numbers.
        sign: Signs links when files are opened; no signature is in the cube or its
            graph.
        gdal: Options of GDAL, set in every process that reads, such as
            `{"AWS_REQUEST_PAYER": "requester"}`. Secrets belong in the environment of
            the workers instead.
        chunk_px: Edge of a Dask chunk.
        chunks_from: `grid`: chunks lie where the grid has them, and the first of a crop
            is what is left of it; each pixel of a file is then decoded for one chunk.
            `corner`: the first chunk is whole, as the shards of a Zarr cube.
    """

    time: TimeMode = "mosaic"
    resampling: Mapping[str, Method] = field(default_factory=dict)
    reader: str = "direct"
    scale_offset: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    sign: Signer | Literal["planetary-computer"] | None = None
    gdal: Mapping[str, str] = field(default_factory=dict)
    chunk_px: int = 2048
    chunks_from: Literal["grid", "corner"] = "grid"

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            InputError: A value is none of those named above.
        """
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
        reader_named(self.reader)
        signer_named(self.sign)
        for name, (scale, offset) in self.scale_offset.items():
            if not (math.isfinite(scale) and math.isfinite(offset) and scale):
                raise InputError(
                    f"scale_offset of {name!r} is ({scale}, {offset}); give two finite "
                    "numbers, the first not zero"
                )
        secrets = [name for name in self.gdal if _SECRET.search(name.upper())]
        if secrets:
            raise InputError(
                f"{secrets} may be secret, and all options travel in the graph; set "
                "them as environment variables of the workers"
            )
        if self.chunks_from not in {"grid", "corner"}:
            raise InputError(
                f"chunks_from={self.chunks_from!r} is none of grid, corner"
            )
        if self.chunk_px < 1:
            raise InputError(f"chunk_px must be at least 1, got {self.chunk_px}")
