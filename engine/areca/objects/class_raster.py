"""A class raster or a mask that a user has in hand, checked and placed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from areca.errors import GridError, InputError
from areca.tiles import BlockGrid, Lattice, Window, cube_geobox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import xarray as xr
    from affine import Affine
    from dask.delayed import Delayed
    from numpy.typing import NDArray

    from areca.tiles import Block


@dataclass(frozen=True, kw_only=True)
class Classes:
    """Which pixels of a raster are objects, and what they are called."""

    wanted: tuple[int, ...] | None
    """Values that are objects; None: all but nodata."""
    nodata: int | None
    names: tuple[tuple[int, str], ...]
    """Names of values, where the raster tells them."""

    def of(self, pixels: NDArray[Any]) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
        """Return the classes of pixels, and which of them are objects.

        Args:
            pixels: A block of the raster, shape (height, width). Floats are whole
                numbers that were masked on opening: NaN is nodata.

        Raises:
            InputError: floats that are no whole numbers.
        """
        seen = np.ones(pixels.shape, bool)
        if pixels.dtype.kind == "b":
            pixels = pixels.astype(np.uint8)
        if pixels.dtype.kind == "f":
            seen = ~np.isnan(pixels)
            whole = np.where(seen, pixels, 0)
            labels = whole.astype(np.int64)
            if (labels != whole).any():
                value = whole[labels != whole][0]
                raise InputError(
                    f"the raster holds {value:g}, which is no class: classes are whole "
                    "numbers. Give it as integers, for example raster.round()"
                    ".astype('int16')"
                )
            pixels = labels
        if self.nodata is not None:
            seen &= pixels != self.nodata
        if self.wanted is not None:
            seen &= np.isin(pixels, np.array(self.wanted, np.int64))
        return pixels, seen


@dataclass(frozen=True, kw_only=True)
class ClassRaster:
    """A raster of classes on the lattice."""

    pixels: xr.DataArray
    """Dims (y, x); nothing of it is read."""
    lattice: Lattice
    """Its tiles are the blocks of work."""
    window: Window
    """Absolute pixels of the raster."""
    affine: Affine
    """Pixels counted from the raster's own corner to its CRS."""
    classes: Classes

    @classmethod
    def of(
        cls,
        raster: xr.DataArray,
        *,
        classes: Collection[int | str] | None,
        nodata: int | None,
        block_px: int,
    ) -> ClassRaster:
        """Check a raster and place it; nothing is read.

        Args:
            raster: Dims (y, x), or with others of size one.
            classes: Values or names that are objects; None for all but nodata.
            nodata: Value of pixels that nothing is known of; None for what the raster
                says itself.
            block_px: Edge of a block.

        Returns:
            The raster on its lattice. One that holds no classes, or none of those
            wanted, is refused with `InputError`.

        Raises:
            GridError: it has no place on the Earth.
        """
        flat = _flat(raster)
        for name in ("y", "x"):
            if name not in flat.coords:
                raise GridError(
                    f"the raster has no coordinates along {name}, so nothing in it has "
                    "a place; open it with rioxarray.open_rasterio or xarray.open_zarr"
                )
        geobox = cube_geobox(flat)
        lattice = Lattice.of(geobox, core_px=block_px)
        fill = nodata if nodata is not None else _nodata(flat)
        names = dict(zip(*flags_of(flat), strict=False))
        return cls(
            pixels=flat,
            lattice=lattice,
            window=lattice.window(geobox),
            affine=geobox.affine,
            classes=Classes(
                wanted=_wanted(classes, names, flat),
                nodata=fill,
                names=tuple(sorted(names.items())),
            ),
        )

    def blocks(self) -> Iterator[tuple[Block, Window, Delayed]]:
        """Yield each block, its pixels within the raster, and these, lazy."""
        grid = BlockGrid(
            lattice=self.lattice, region=self.window, tiles_down=1, tiles_across=1
        )
        edge, window = self.lattice.core_px, self.window
        cut = self.pixels.chunk(
            y=sizes_between(window.row0, window.row1, edge),
            x=sizes_between(window.col0, window.col1, edge),
        )
        parts = cut.data.to_delayed()
        for block in grid.blocks():
            inside = block.window.intersection(window) or block.window
            yield block, inside, parts[block.row, block.col]


def sizes_between(start: int, stop: int, edge: int) -> tuple[int, ...]:
    """Return the lengths of the stretches between multiples of an edge.

    Args:
        start: First pixel, absolute.
        stop: One after the last.
        edge: Pixels.
    """
    inner = np.arange(start // edge + 1, -(-stop // edge)) * edge
    return tuple(np.diff(np.concatenate([[start], inner, [stop]])).tolist())


def _flat(raster: xr.DataArray) -> xr.DataArray:
    """Return a raster of whole numbers with the dims (y, x).

    Raises:
        InputError: it has none.
    """
    flat = raster.squeeze([d for d in raster.dims if d not in {"y", "x"}
                           and raster.sizes[d] == 1], drop=True)  # fmt: skip
    if set(flat.dims) != {"y", "x"}:
        raise InputError(
            f"the raster has the dims {dict(raster.sizes)}, expected y and x: take one "
            "layer, for example raster.sel(band=1), or rename its dims"
        )
    if not flat.size:
        raise InputError(
            f"the raster is empty, {dict(raster.sizes)}; check how it was cropped"
        )
    stored = np.dtype(flat.encoding.get("dtype", flat.dtype))
    if flat.dtype.kind not in "biu" and not (
        flat.dtype.kind == "f" and stored.kind in "biu"
    ):
        raise InputError(
            f"the raster is {flat.dtype}, and classes are whole numbers. Probabilities "
            "need a threshold first, for example raster > 0.5; a class raster that was "
            "masked on opening, raster.fillna(255).astype('uint8')"
        )
    return flat.transpose("y", "x")


def _nodata(raster: xr.DataArray) -> int | None:
    """Return what a raster says of nodata, where a pixel can have that value."""
    for name in ("nodata", "encoded_nodata"):
        try:
            value = getattr(raster.rio, name)
        except OverflowError:  # no pixel of this number type can have it
            continue
        if value is not None and np.isfinite(value) and value == int(value):
            return int(value)
    return None


def flags_of(raster: xr.DataArray) -> tuple[list[int], list[str]]:
    """Return the values of classes and their names, where a raster tells any.

    Args:
        raster: A raster with the CF attributes `flag_values` and `flag_meanings`, the
            values as a list or as the text that a GeoTIFF keeps of it.

    Returns:
        Values and names, both empty where it tells none.
    """
    values = raster.attrs.get("flag_values")
    words = str(raster.attrs.get("flag_meanings", "")).split()
    if isinstance(values, str):  # as GeoTIFFs keep it: "[1, 2, 3]" or "1, 2, 3"
        values = [int(text) for text in re.findall(r"-?\d+", values)]
    numbers = [] if values is None else np.atleast_1d(values).tolist()
    return [int(number) for number in numbers], words


def _wanted(
    classes: Collection[int | str] | None,
    names: Mapping[int, str],
    raster: xr.DataArray,
) -> tuple[int, ...] | None:
    """Return the values of the wanted classes.

    Raises:
        InputError: a name is not known, or there is none.
    """
    if classes is None:
        return (1,) if raster.dtype.kind == "b" else None
    if isinstance(classes, str) or not len(classes):
        raise InputError(f"classes={classes!r}; give a list of values or names")
    values = {name: value for value, name in names.items()}
    unknown = [c for c in classes if isinstance(c, str) and c not in values]
    if unknown:
        known = ", ".join(values) or "none: it has no flag_meanings"
        raise InputError(
            f"classes={unknown!r}, but the raster names {known}; give values instead"
        )
    return tuple(sorted({values[c] if isinstance(c, str) else int(c)
                         for c in classes}))  # fmt: skip
