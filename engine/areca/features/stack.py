"""The feature stack: bands and indices of a cube, as one stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from areca.errors import BandError
from areca.features.indices import INDICES
from areca.tiles import map_stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class FeatureStack:
    """A stage that picks bands and computes indices, pixel by pixel."""

    bands: tuple[str, ...]
    """Names of the bands and indices wanted, in order."""

    def __post_init__(self) -> None:
        if not self.bands or len(set(self.bands)) != len(self.bands):
            raise BandError(
                f"features must be different names, got {list(self.bands)}; for "
                "example ['red', 'green', 'blue', 'ndvi']"
            )

    @property
    def halo_px(self) -> int:
        """Each pixel stands for itself."""
        return 0

    @property
    def inputs(self) -> tuple[str, ...]:
        """Bands that a cube must have, each once."""
        return inputs_of(self.bands)

    def __call__(self, block: xr.DataArray, /) -> xr.DataArray:
        """Compute the features of a block.

        Args:
            block: Dims (band, y, x), numbers, NaN where missing.

        Returns:
            Dims (band, y, x), float32, NaN where missing or not defined.

        Raises:
            BandError: The block lacks a band.
        """  # noqa: DOC502 - raised by check_inputs
        present = [str(name) for name in block.band.values]
        check_inputs(self.bands, present)
        pixels = np.asarray(block.data, dtype=np.float32)
        if present == list(self.bands):
            return block.copy(data=pixels)
        out = np.empty((len(self.bands), *pixels.shape[1:]), np.float32)
        for position, name in enumerate(self.bands):
            if name in present:
                out[position] = pixels[present.index(name)]
            else:
                index = INDICES[name]
                out[position] = index.formula(
                    *(pixels[present.index(band)] for band in index.bands)
                )
        coords = {k: block.coords[k] for k in ("y", "x") if k in block.coords}
        return xr.DataArray(
            out, dims=("band", "y", "x"), coords={"band": list(self.bands), **coords}
        )


def stack_features(cube: xr.DataArray, bands: Sequence[str]) -> xr.DataArray:
    """Stack bands and indices of a cube; lazy, nothing is computed.

    Args:
        cube: Dims (band, y, x) with a CRS, for example from `areca.open_cube`.
        bands: Names of bands of the cube, and of indices (`ndvi`, `gndvi`). A band of
            the cube wins over an index of the same name.

    Returns:
        Dims (band, y, x), float32, NaN where a pixel is missing or an index is not
        defined; CRS, transform and chunks along y and x as the cube has them.

    Raises:
        BandError: The cube lacks a band, or a band that an index needs.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by the helpers
    stage = FeatureStack(tuple(bands))
    check_inputs(stage.bands, [str(name) for name in cube.band.values])
    return map_stage(stage, cube)


def inputs_of(bands: Iterable[str]) -> tuple[str, ...]:
    """Return the bands of a cube that features need, each once, in order."""
    needed: dict[str, None] = {}
    for name in bands:
        index = INDICES.get(name)
        needed |= dict.fromkeys(index.bands if index else (name,))
    return tuple(needed)


def check_inputs(bands: Iterable[str], present: Sequence[str]) -> None:
    """Refuse features that cannot be made of the bands present.

    Raises:
        BandError: Names the feature, what it lacks, and what there is.
    """
    for name in bands:
        if name in present:
            continue
        index = INDICES.get(name)
        if index is None:
            raise BandError(
                f"there is no band or index {name!r}: the cube has {list(present)}, "
                f"indices are {sorted(INDICES)}. Open the cube with this band"
            )
        missing = [band for band in index.bands if band not in present]
        if missing:
            raise BandError(
                f"the index {name!r} needs {list(index.bands)}, and the cube has no "
                f"{missing}: it has {list(present)}. Open the cube with these bands"
            )
