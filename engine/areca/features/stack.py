"""The feature stack: bands, indices, formulas and functions of a cube, as one stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from areca.errors import BandError
from areca.features.evaluate import plan_of
from areca.features.expression import Name, names_in
from areca.features.lineage import lineage, traced
from areca.features.resolve import reach_of, resolve_all
from areca.tiles import map_stage, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from areca.features.evaluate import Plan
    from areca.features.expression import Feature
    from areca.tiles import Place


@dataclass(frozen=True, slots=True)
class FeatureStack:
    """A stage that makes the bands of a model, or of a raster, from those of a cube."""

    features: tuple[str, ...]
    """Bands, indices, formulas and `name = formula` wanted, in order."""

    def __post_init__(self) -> None:
        names = [feature.name for feature in self._resolved()]
        if not names or len(set(names)) != len(names):
            raise BandError(
                f"features must be different names, got {names}; for "
                "example ['red', 'green', 'blue', 'ndvi']"
            )

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self._resolved())

    @property
    def halo_px(self) -> int:
        """Pixels around a pixel that the widest of the features sees."""
        return max(reach_of(feature.tree) for feature in self._resolved())

    @property
    def inputs(self) -> tuple[str, ...]:
        """Bands that a cube must have, each once."""
        return inputs_of(self.features)

    def picked(self, present: Sequence[str]) -> list[str] | None:
        """Return which band each feature is; None where one has to be computed.

        Args:
            present: Bands that there are.
        """
        trees = [feature.tree for feature in self._resolved(present)]
        names = [tree.text for tree in trees if isinstance(tree, Name)]
        return names if len(names) == len(trees) else None

    def __call__(self, block: xr.DataArray, /) -> xr.DataArray:
        """Compute the features of a block.

        Args:
            block: Dims (band, y, x), numbers, NaN where missing, `halo_px` wider on
                each side than what is wanted.

        Returns:
            Dims (band, y, x) without the halo, float32, NaN where missing or not
            defined.

        Raises:
            BandError: The block lacks a band.
        """  # noqa: DOC502 - raised by resolve
        present = [str(name) for name in block.band.values]
        pixels = np.asarray(block.data, dtype=np.float32)
        halo = self.halo_px
        inner = (
            slice(halo, pixels.shape[1] - halo),
            slice(halo, pixels.shape[2] - halo),
        )
        if halo == 0 and self.picked(present) == present == list(self.bands):
            return block.copy(data=pixels)
        shape = (len(self.features), *pixels[0][inner].shape)
        out = np.empty(shape, np.float32)
        self.fill(pixels, present, out, place_of(block))
        coords = {
            name: block.coords[name][along]
            for name, along in zip(("y", "x"), inner, strict=True)
            if name in block.coords
        }
        return xr.DataArray(
            out, dims=("band", "y", "x"), coords={"band": list(self.bands), **coords}
        )

    def fill(
        self,
        pixels: NDArray[np.float32],
        present: Sequence[str],
        out: NDArray[np.float32],
        place: Place | None = None,
    ) -> None:
        """Compute the features of plain arrays.

        Args:
            pixels: Shape (band, height, width), NaN where missing, with a halo.
            present: Names of the bands.
            out: Where the features go, shape (feature, height, width) without the halo.
            place: Where the pixels lie, halo included; terrain and clahe want it.
        """
        plan = _plan_of(self.features, tuple(present))
        plan.run(dict(zip(present, pixels, strict=True)), place, out)

    def _resolved(self, present: Sequence[str] | None = None) -> list[Feature]:
        return resolve_all(self.features, present)


@lru_cache(maxsize=256)
def _plan_of(features: tuple[str, ...], present: tuple[str, ...]) -> Plan:
    """Return the plan of features; strips ask often, and names are soon compared."""
    return plan_of([feature.tree for feature in resolve_all(features, present)])


def stack_features(cube: xr.DataArray, features: Sequence[str]) -> xr.DataArray:
    """Stack bands, indices, formulas and functions of a cube; nothing is computed.

    Args:
        cube: Dims (band, y, x) with a CRS, for example from `areca.open_cube`.
        features: Names of bands of the cube and of indices (`ndvi`, `ndre`, and those
            of spyndex); formulas such as `(nir - red) / (nir + red)`; functions of a
            band or a formula such as `slope(dem)` or `std(ndvi, 7)`; and any of these
            with a name, `ratio = nir / red`. A band of the cube wins over an index of
            the same name.

    Returns:
        Dims (band, y, x), float32, NaN where a pixel is missing or a feature is not
        defined; CRS, transform and chunks along y and x as the cube has them.
        `areca.lineage` tells what each is made of.

    Raises:
        BandError: The cube lacks a band, or a feature cannot be read.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by the helpers
    stage = FeatureStack(tuple(features))
    present = [str(name) for name in cube.band.values]
    needed, origins = inputs_of(stage.features, present), lineage(cube)
    if list(needed) != present:
        cube = cube.sel(band=list(needed))
    trees = {one.name: one.tree for one in resolve_all(stage.features, present)}
    return traced(map_stage(stage, cube), trees, origins)


def inputs_of(
    features: Iterable[str], present: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the bands of a cube that features need, each once, in order.

    Args:
        features: As `FeatureStack` has them.
        present: Bands that there are; None for those that would be needed.
    """
    trees = [feature.tree for feature in resolve_all(features, present)]
    return tuple(dict.fromkeys(name for tree in trees for name in names_in(tree)))
