"""The imagery of a run, on its one pixel grid: windows of it, warped where need be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from areca.catalog.acquisitions import Acquisition
from areca.catalog.grids import grid_of
from areca.catalog.headers import NumberTypeError
from areca.catalog.kept_cells import KEPT_BYTES
from areca.catalog.layers import LayerReader
from areca.catalog.masks import with_schemes
from areca.catalog.pixels import FLOAT, encoding_of
from areca.catalog.reader import read_mosaic
from areca.catalog.scenes import canonical_order, check_names
from areca.catalog.target import CELL_PX, ground_window, is_aligned
from areca.catalog.warp import Warp
from areca.errors import GridError
from areca.tiles import Lattice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from odc.geo.geobox import GeoBox

    from areca.catalog.masks import Mask
    from areca.catalog.mosaic import Mosaic
    from areca.catalog.scenes import Scene
    from areca.tiles import Window


def acquisitions_of(scenes: Iterable[Scene]) -> list[Acquisition]:
    """Gather scenes to acquisitions: those of one item that hold different bands.

    Args:
        scenes: Any order; of one item the finest first.

    Returns:
        Newest first, then by id; see `canonical_order`.
    """
    found: list[list[Scene]] = []
    for scene in canonical_order(scenes):
        if found and _is_further_part(scene, found[-1]):
            found[-1].append(scene)
        else:
            found.append([scene])
    return [Acquisition(tuple(parts)) for parts in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imagery:
    """Acquisitions laid over each other on one grid; small, it travels with tasks."""

    found: tuple[Acquisition, ...]
    """The first on top."""
    bands: tuple[str, ...]
    """What is read of them."""
    lattice: Lattice
    """The grid; windows are counted in its absolute pixels."""
    reader: LayerReader | None = None
    """How they are warped or masked; None where their pixels are read as they are."""
    is_warped: bool = False
    """Whether some pixels of theirs are no pixels of the grid."""

    @classmethod
    def of(
        cls,
        found: Sequence[Acquisition],
        bands: Sequence[str],
        grid: GeoBox,
        *,
        masks: Sequence[Mask] = (),
    ) -> Imagery:
        """Place acquisitions on a grid; nothing is read.

        Args:
            found: Acquisitions, the first on top.
            bands: Names of bands.
            grid: Any part of the grid, for example of `target_grid`.
            masks: What quality bands must not show; what they hide of an acquisition,
                the next one shows.

        Returns:
            The imagery: as it is where every band lies on the grid, else warped by
            fixed cells as `areca.open_cube` does, to the same pixels.

        Raises:
            BandError: An acquisition lacks a band.
            InputError: Nothing tells what a name means in a quality band.
        """  # noqa: DOC502 - raised by with_bands and with_schemes
        check_names(bands)
        found = [one.with_classes(mask.band for mask in masks) for one in found]
        names, lattice = tuple(bands), Lattice.of(grid, core_px=CELL_PX)
        parts = [one.with_bands(names) for one in found]
        is_own = all(
            len(some) == 1 and is_aligned(some[0][0], lattice) for some in parts
        )
        reader = LayerReader(
            bands=names,
            lattice=lattice,
            masks=with_schemes(masks, found),
            # Ground that a warp or a mask leaves empty must have a number that says so.
            encoding=encoding_of(
                [one.band(name) for one in found for name in names],
                is_covered=lambda: False,
            ),
            keeps_cells=True,  # blocks are laid for models, and have halos
        )
        return cls(
            found=tuple(found),
            bands=names,
            lattice=lattice,
            reader=None if is_own and not masks else reader,
            is_warped=not is_own,
        )

    def only(self, positions: Iterable[int]) -> Imagery:
        """Return the same of some acquisitions, in the order given.

        Args:
            positions: Positions among `found`.
        """
        return replace(self, found=tuple(self.found[number] for number in positions))

    def ground(self, one: Acquisition) -> Window:
        """Return the pixels around an acquisition.

        Args:
            one: An acquisition of this imagery.

        Raises:
            GridError: The CRS of the grid is not defined there.
        """
        scene = one.with_bands(self.bands)[0][0]
        if not self.is_warped:
            return self.lattice.window(grid_of([scene]))
        window = ground_window(scene, self.lattice)
        if window is None:
            raise GridError(
                f"item {one.id} lies where {self.lattice.crs[:60]} is not defined; "
                "give another crs"
            )
        return window

    def read(self, window: Window) -> Mosaic:
        """Read a window, in the fewest bytes that lose nothing.

        Args:
            window: Absolute pixels of the grid; may reach beyond the imagery.

        Returns:
            Pixels, what of them is valid, and which of `found` shows them.

        Raises:
            ReadError: A file could not be read, or is not what its item says.
        """  # noqa: DOC502 - raised by the readers
        if self.reader is not None:
            try:
                return self.reader.mosaic(self.found, window)
            except NumberTypeError:  # other numbers than the items say
                return replace(self.reader, encoding=FLOAT).mosaic(self.found, window)
        scenes = [one.with_bands(self.bands)[0][0] for one in self.found]
        return read_mosaic(scenes, self.bands, self.lattice.geobox(window))

    def strip_px(self, block_px: int) -> int | None:
        """Return how wide strips of blocks may be that are read row by row.

        In a wider one the cells that a row has warped are no longer kept when the next
        row wants them.

        Args:
            block_px: Edge of a block, pixels.

        Returns:
            Pixels, a whole number of blocks; None for any width: nothing is warped.
        """
        if self.reader is None:
            return None
        names = [*self.bands, *(mask.band for mask in self.reader.masks)]
        warped = [
            name
            for name in names
            if not all(
                is_aligned(one.with_bands([name])[0][0], self.lattice)
                for one in self.found
            )
        ]
        if not warped:
            return None
        column = 4 * len(warped) * (block_px + CELL_PX)  # bytes, float32
        return max(1, (KEPT_BYTES // column - CELL_PX) // block_px) * block_px

    def decoded_bytes(self, window: Window) -> int:
        """Return about how many bytes of pixels are decoded to read a window.

        Counts whole overlaps, also where a newer image hides an older one; of what is
        warped the pixels of the files that lie below the window. Bands of unknown
        number type count as 2 bytes a sample.

        Args:
            window: Absolute pixels of the grid.
        """
        total = 0.0
        for one in self.found:
            for scene, positions in one.with_bands(self.bands):
                ground = ground_window(scene, self.lattice)
                part = None if ground is None else ground.intersection(window)
                if part is None:
                    continue
                shrink = 1.0
                if self.is_warped and not is_aligned(scene, self.lattice):
                    shrink = Warp.of(scene, self.lattice).shrink
                kinds = (one.band(self.bands[place]).dtype for place in positions)
                sample = sum(np.dtype(kind or "u2").itemsize for kind in kinds)
                total += part.size * sample * shrink**2
        return round(total)


def _is_further_part(scene: Scene, parts: Sequence[Scene]) -> bool:
    """Return whether a scene is of the item of some parts, with bands they lack."""
    first = parts[0]
    mine = (scene.id, scene.collection, scene.start, scene.end)
    if mine != (first.id, first.collection, first.start, first.end):
        return False
    return not any(part.find(band.name) for part in parts for band in scene.bands)
