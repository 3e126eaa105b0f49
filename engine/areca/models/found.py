"""What a model found in one tile, in tile pixels: discs, boxes, or boxes with masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import pandas as pd
import shapely
from typing_extensions import override

from areca.objects import box_candidates, disc_candidates, mask_outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles import Tile, Window

    Index = NDArray[np.intp] | NDArray[np.bool_]


class Found(Protocol):
    """The objects that a model found in one tile."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def take(self, index: Index, /) -> Self:
        """Return the objects of an index or a mask, copied."""
        ...

    def candidates(self, corner: Window, tile: Tile) -> pd.DataFrame:
        """Return the objects as a candidate table in absolute pixels.

        Args:
            corner: Window whose first row and column are those of the padded tile.
            tile: The tile that saw them.

        Returns:
            `areca.objects.candidates.DTYPES`, one row per object in their order; with
            masks one more column `outline`, WKB of a valid polygon or multipolygon.
        """
        ...

    def touching_edge(self, tile_px: int, within_px: float) -> NDArray[np.bool_]:
        """Tell which objects reach the edge of the padded tile, where they are cut.

        Args:
            tile_px: Edge of the padded tile, px.
            within_px: How near counts as reaching it, px.

        Returns:
            Shape (n,).
        """
        ...


def _reaches(
    bounds: NDArray[np.float64], tile_px: int, within_px: float
) -> NDArray[np.bool_]:
    """Return which boxes (n, 4: left, top, right, bottom) reach a tile's edge."""
    low = bounds[:, :2] <= within_px
    high = bounds[:, 2:] >= tile_px - within_px
    return np.asarray((low | high).any(axis=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scored:
    """What every object found has; all fields are arrays with one entry an object."""

    score: NDArray[np.float32]
    """Confidence, 0 to 1."""
    label: NDArray[np.int32]
    """Class, an index into the card's labels."""

    def __len__(self) -> int:
        return len(self.score)

    def take(self, index: Index, /) -> Self:
        """Return the objects of an index or a mask, copied."""
        names = self.__dataclass_fields__
        return type(self)(**{name: getattr(self, name)[index] for name in names})


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections(_Scored):
    """Circles found in one tile, all arrays of shape (n,)."""

    x: NDArray[np.float32]
    """Column of the centre, px; the middle of the first pixel is 0.5."""
    y: NDArray[np.float32]
    """Row of the centre, px; the middle of the first pixel is 0.5."""
    radius: NDArray[np.float32]
    """Radius, px."""

    def candidates(self, corner: Window, tile: Tile) -> pd.DataFrame:
        """Return the circles as a candidate table (see `Found`)."""
        discs = np.stack([self.x, self.y, self.radius], axis=1).astype(np.float64)
        # Tile pixels are float32 and the corner is whole: these sums are exact, so a
        # candidate has one position whichever block computed it.
        discs += (corner.col0, corner.row0, 0.0)
        return disc_candidates(discs, self.score, self.label, tile)

    def touching_edge(self, tile_px: int, within_px: float) -> NDArray[np.bool_]:
        """Return which circles reach the edge of the padded tile (see `Found`)."""
        centre = np.stack([self.x, self.y], axis=1).astype(np.float64)
        radius = self.radius.astype(np.float64)[:, None]
        bounds = np.hstack([centre - radius, centre + radius])
        return _reaches(bounds, tile_px, within_px)


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes(_Scored):
    """Boxes found in one tile, all arrays of shape (n,)."""

    x_min: NDArray[np.float32]
    """Left edge, px; the first pixel reaches from 0 to 1."""
    y_min: NDArray[np.float32]
    """Upper edge, px."""
    x_max: NDArray[np.float32]
    """Right edge, px."""
    y_max: NDArray[np.float32]
    """Lower edge, px."""

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Left, top, right and bottom, shape (n, 4), px."""
        edges = (self.x_min, self.y_min, self.x_max, self.y_max)
        return np.stack(edges, axis=1).astype(np.float64)

    def candidates(self, corner: Window, tile: Tile) -> pd.DataFrame:
        """Return the boxes as a candidate table (see `Found`)."""
        moved = self.bounds
        moved[:, ::2] += corner.col0
        moved[:, 1::2] += corner.row0
        return box_candidates(moved, self.score, self.label, tile)

    def touching_edge(self, tile_px: int, within_px: float) -> NDArray[np.bool_]:
        """Return which boxes reach the edge of the padded tile (see `Found`)."""
        return _reaches(self.bounds, tile_px, within_px)


@dataclass(frozen=True, kw_only=True, eq=False)
class Masks(Boxes):
    """Boxes with the pixels that belong to each object."""

    mask: NDArray[np.bool_]
    """Shape (n, height, width) of the tile; no mask is empty."""

    @override
    def candidates(self, corner: Window, tile: Tile) -> pd.DataFrame:
        """Return the objects as a candidate table with outlines (see `Found`)."""
        table = super().candidates(corner, tile)
        outlines = mask_outlines(self.mask, row=corner.row0, col=corner.col0)
        wkb = shapely.to_wkb(outlines)
        return table.assign(outline=pd.Series(wkb, index=table.index, dtype=object))

    @override
    def touching_edge(self, tile_px: int, within_px: float) -> NDArray[np.bool_]:
        """Return which objects reach the edge by their box or their mask."""
        near = int(np.ceil(within_px)) or 1
        inner = self.mask[:, near:-near, near:-near].sum(axis=(1, 2))
        cut = self.mask.sum(axis=(1, 2)) > inner
        return np.asarray(super().touching_edge(tile_px, within_px) | cut)
