"""Where a block lies, for stages that must know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from areca.errors import GridError

if TYPE_CHECKING:
    import xarray as xr

    from areca.tiles.lattice import Lattice
    from areca.tiles.window import Window

PLACE = "place"
"""Attribute of a block: its `Place`."""


@dataclass(frozen=True, slots=True)
class Place:
    """The ground of a block."""

    lattice: Lattice
    """What pixels are counted on: one for all blocks and crops of a grid."""
    window: Window
    """Absolute pixels of the block, halo included."""


def placed(block: xr.DataArray, lattice: Lattice, window: Window) -> xr.DataArray:
    """Return a block that says where it lies.

    Args:
        block: Dims (band, y, x), of the size of the window.
        lattice: What the window is counted on.
        window: Absolute pixels of the block.
    """
    return block.assign_attrs({PLACE: Place(lattice, window)})


def place_of(block: xr.DataArray) -> Place | None:
    """Return where a block lies; None where it does not say.

    Args:
        block: A block of `placed`.

    Raises:
        GridError: The place is of another size than the block.
    """
    place = block.attrs.get(PLACE)
    if not isinstance(place, Place):
        return None
    size = (block.sizes["y"], block.sizes["x"])
    if size != (place.window.height, place.window.width):
        raise GridError(
            f"a block of {size[0]} x {size[1]} pixels is said to lie at "
            f"{place.window}; place it again with areca.tiles.placed"
        )
    return place
