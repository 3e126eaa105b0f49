"""What `areca features` computes: imagery, a stack of features, and its blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from areca.catalog import (
    Imagery,
    acquisitions_of,
    normalise_acquisitions,
    normalise_items,
    target_grid,
    window_of,
)
from areca.errors import BandError, InputError
from areca.features import FeatureStack, inputs_of
from areca.features.indices import OF_REFLECTANCE
from areca.tiles import Lattice, Window, block_array, placed, with_nan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pystac
    from numpy.typing import NDArray

    from areca.catalog import Mask, Scene

BLOCK_PX = 1024
"""Edge of what is computed at a time, pixels; a multiple of that of a file's tiles."""


@dataclass(frozen=True, kw_only=True)
class FeatureWork:
    """Imagery, and what is to be made of it."""

    imagery: Imagery
    present: tuple[str, ...]
    """The bands that are read, as the features call them."""
    stack: FeatureStack
    lattice: Lattice
    whole: Window
    """What is written of the imagery, absolute pixels."""
    geobox: GeoBox
    """The same, to the last digit of the imagery's own origin."""

    @classmethod
    def of(
        cls,
        items: Sequence[pystac.Item],
        source: str,
        features: Sequence[str],
        names: Sequence[str] | None,
        aoi: str | None,
        masks: Sequence[Mask] = (),
    ) -> FeatureWork:
        """Lay out the work; nothing is read.

        Args:
            items: The imagery.
            source: Where it was found.
            features: What `areca.stack_features` takes.
            names: Names of the bands of a GeoTIFF that has none.
            aoi: The area that is wanted, as the command takes it; None for all.
            masks: What quality bands must not show.

        Returns:
            The work, once all that it needs is known to be there.

        Raises:
            InputError: The names do not fit the bands.
            BandError: A band that is needed is not there.
        """  # noqa: DOC502 - raised by the helpers
        scenes = normalise_items(items, catalog_href=source)
        called = _called(scenes[0], names)
        stack = FeatureStack(tuple(features))
        present = _needed(stack, called, is_named=names is not None)
        inputs = [called[name] for name in present]
        masks = [_as_called(mask, called) for mask in masks]
        found = acquisitions_of(scenes)
        asked = [*dict.fromkeys([*inputs, *(mask.band for mask in masks)])]
        if any(name in scene.elsewhere for scene in scenes for name in asked) or masks:
            found = normalise_acquisitions(items, catalog_href=source, bands=asked)
        finest = [one.with_bands(inputs)[0][0] for one in found]
        geobox = target_grid(finest)
        lattice = Lattice.of(geobox, core_px=1)
        whole = lattice.window(geobox)
        if aoi is not None:
            row, col, height, width = window_of(geobox, aoi, finest)
            row, col = whole.row0 + row, whole.col0 + col
            whole = Window(row, col, row + height, col + width)
        return cls(
            imagery=Imagery.of(found, inputs, geobox, masks=masks),
            present=present,
            stack=stack,
            lattice=lattice,
            whole=whole,
            geobox=_cut(geobox, whole, lattice),
        )

    @property
    def warped_to(self) -> str:
        """Return the grid that imagery of several grids is warped to."""
        if not self.imagery.is_warped:
            return ""
        return f"{self.lattice.crs[:40]}, pixels of {self.lattice.pixel_x:g}"

    @property
    def dates(self) -> tuple[str, ...]:
        """Return the dates of the imagery, the newest first, of those that have one."""
        tops = [one.parts[0] for one in self.imagery.found]
        days = [(scene.start[:10], scene.end[:10]) for scene in tops if scene.end]
        return tuple(
            end if start == end else f"{start}/{end}"
            for start, end in dict.fromkeys(days)
        )

    @property
    def unscaled(self) -> tuple[str, ...]:
        """Return the indices for reflectance that are made of stored whole numbers."""
        top = self.imagery.found[0]
        bands = [top.band(name) for name in self.imagery.bands]
        if any(b.is_scaled or np.dtype(b.dtype or "f4").kind == "f" for b in bands):
            return ()
        return tuple(name for name in self.stack.features if name in OF_REFLECTANCE)

    @property
    def undated(self) -> tuple[str, ...]:
        """Return the items without a date, in order; none where there is but one."""
        tops = [one.parts[0] for one in self.imagery.found]
        names = tuple(scene.id for scene in tops if not scene.end)
        return names if len(tops) > 1 else ()

    def blocks(self) -> Iterator[Window]:
        """Yield blocks that hold whole tiles of the file, strip by strip."""
        whole = self.whole
        strip = self.imagery.strip_px(BLOCK_PX) or whole.width
        for left in range(whole.col0, whole.col1, strip):
            right = min(left + strip, whole.col1)
            for row, col in product(
                range(whole.row0, whole.row1, BLOCK_PX), range(left, right, BLOCK_PX)
            ):
                end = min(row + BLOCK_PX, whole.row1), min(col + BLOCK_PX, right)
                yield Window(row, col, *end)

    def compute(self, window: Window) -> NDArray[np.float32]:
        """Read a block with its rim.

        Args:
            window: The block, absolute pixels.

        Returns:
            Its features, shape (feature, height, width).
        """
        padded = window.grow(self.stack.halo_px)
        seen = self.imagery.read(padded)
        pixels = with_nan(seen.pixels, seen.valid)
        block = placed(block_array(pixels, self.present), self.lattice, padded)
        return self.stack(block).to_numpy()


def _cut(geobox: GeoBox, window: Window, lattice: Lattice) -> GeoBox:
    """Return a window of a grid; its own origin counts to the last digit."""
    corner = lattice.window(geobox)
    shift = Affine.translation(window.col0 - corner.col0, window.row0 - corner.row0)
    shape = (window.height, window.width)
    return GeoBox(shape, geobox.affine * shift, geobox.crs)


def _as_called(mask: Mask, called: Mapping[str, str]) -> Mask:
    """Return a mask with the file's own name of its band, and the meaning of ours."""
    name = called.get(mask.band, mask.band)
    if name == mask.band:
        return mask
    return replace(mask, band=name, scheme=mask.scheme or mask.known_scheme())


def _called(scene: Scene, names: Sequence[str] | None) -> dict[str, str]:
    """Return the bands of the imagery by the names that features call them.

    Raises:
        InputError: The user's names are more or fewer than the bands.
    """
    offered = [band.name for band in scene.bands]
    if names is not None and len(names) != len(offered):
        raise InputError(
            f"--names has {len(names)} names, and the imagery has the bands "
            f"{', '.join(offered)}; give one name for each"
        )
    called = {name: name for name in scene.elsewhere}
    return called | dict(zip(names or offered, offered, strict=True))


def _needed(
    stack: FeatureStack, called: Mapping[str, str], *, is_named: bool
) -> tuple[str, ...]:
    """Return the bands that features are made of.

    Raises:
        BandError: One is not there.
    """
    try:
        return tuple(inputs_of(stack.features, list(called)))
    except BandError as error:
        if is_named:
            raise
        raise BandError(
            f"{error}, or say how the bands of the file are called, in its order: "
            "--names red,green,blue,nir"
        ) from error
