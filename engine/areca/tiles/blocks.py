"""Blocks: the unit of work, a rectangle of whole tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from areca.errors import GridError
from areca.tiles.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from areca.tiles.lattice import Lattice, Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockGrid:
    """The division of a lattice into blocks of whole tiles, over one region.

    Like tiles, blocks are anchored to the lattice; their names count from the
    region's first block, so that they stay readable.
    """

    lattice: Lattice
    region: Window
    """The pixels that have imagery; blocks reach beyond it by less than a tile."""
    tiles_down: int
    """Rows of tiles in a block."""
    tiles_across: int
    """Columns of tiles in a block."""

    def __post_init__(self) -> None:
        if min(self.tiles_down, self.tiles_across) < 1:
            raise GridError(
                f"a block needs at least one tile each way, got {self.tiles_down} x "
                f"{self.tiles_across}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks over the region."""
        first, last = self._index(self.region)
        return last[0] - first[0] + 1, last[1] - first[1] + 1

    def block(self, row: int, col: int) -> Block:
        """Return one block by its row and column in the region."""
        first, _ = self._index(self.region)
        height = self.tiles_down * self.lattice.core_px
        width = self.tiles_across * self.lattice.core_px
        row0, col0 = (first[0] + row) * height, (first[1] + col) * width
        square = Window(row0, col0, row0 + height, col0 + width)
        # A block larger than the imagery shall not cost more memory than the imagery.
        window = square.intersection(self._tiled()) or square
        return Block(row=row, col=col, window=window)

    def blocks(self, window: Window | None = None) -> Iterator[Block]:
        """Yield the blocks of the region that touch a window, row by row.

        Args:
            window: Absolute pixels; the whole region when left out.
        """
        wanted = self.region if window is None else window.intersection(self.region)
        if wanted is None:
            return
        origin, _ = self._index(self.region)
        first, last = self._index(wanted)
        for row in range(first[0], last[0] + 1):
            for col in range(first[1], last[1] + 1):
                yield self.block(row - origin[0], col - origin[1])

    def tiles(self, block: Block) -> list[Tile]:
        """Return the tiles of a block that have imagery, row by row."""
        inside = block.window.intersection(self.region)
        return [] if inside is None else list(self.lattice.tiles(inside))

    def _tiled(self) -> Window:
        """Return the region, grown to whole tiles."""
        core, region = self.lattice.core_px, self.region
        return Window(
            region.row0 // core * core,
            region.col0 // core * core,
            -(-region.row1 // core) * core,
            -(-region.col1 // core) * core,
        )

    def _index(self, window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
        height = self.tiles_down * self.lattice.core_px
        width = self.tiles_across * self.lattice.core_px
        first = (window.row0 // height, window.col0 // width)
        last = ((window.row1 - 1) // height, (window.col1 - 1) // width)
        return first, last


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Block:
    """One block: what a task reads, predicts and writes."""

    row: int
    col: int
    window: Window
    """The cores of its tiles; no pixel belongs to two blocks."""

    @property
    def name(self) -> str:
        """`<row>_<col>`, counted from the first block of the region."""
        return f"{self.row:03d}_{self.col:03d}"
