"""The padded block: every stage is a plain function on one, and this makes it lazy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import delayed

from areca.errors import GridError
from areca.tiles.grid import cube_geobox
from areca.tiles.lattice import Lattice
from areca.tiles.place import Place, placed
from areca.tiles.validity import valid_where, with_nan
from areca.tiles.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Chunks: TypeAlias = NDArray[np.generic] | list[Any]
    """An array, or its chunks by band, row and column."""


Number = TypeVar("Number", bound=np.generic)


class Stage(Protocol):
    """A plain function from one padded block to one block."""

    @property
    def halo_px(self) -> int:
        """Pixels beyond each side of its output that the stage must see."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands that the stage returns."""

    def __call__(self, block: xr.DataArray, /) -> xr.DataArray:
        """Map a block (band, y, x) with its halo to a block without it."""


def pad_block(
    pixels: NDArray[Number], have: Window, want: Window, fill: float = np.nan
) -> NDArray[Number]:
    """Return the pixels of `want`, with one value where `have` has none.

    Args:
        pixels: Shape (band, height, width) of `have`.
        have: The window that `pixels` fills.
        want: The window wanted; may reach beyond `have` on every side.
        fill: The value; NaN is for floats.

    Returns:
        Shape (band, height, width) of `want`; the input itself when nothing is added.
    """
    if have == want:
        return pixels
    shape = (pixels.shape[0], want.height, want.width)
    out = np.full(shape, fill, pixels.dtype)
    common = have.intersection(want)
    if common is not None:
        rows, cols = common.slices_in(want)
        from_rows, from_cols = common.slices_in(have)
        out[:, rows, cols] = pixels[:, from_rows, from_cols]
    return out


def slice_padded(cube: xr.DataArray, window: Window) -> tuple[xr.DataArray, Window]:
    """Cut what a cube has of a window; lazy, nothing is padded yet.

    Args:
        cube: Dims (band, y, x).
        window: Pixels counted from the cube's own first pixel.

    Returns:
        The part of the cube, and the window that it fills. A window that does not
        touch the cube is refused with `GridError`.
    """
    whole = Window(0, 0, cube.sizes["y"], cube.sizes["x"])
    have = window.intersection(whole) or window
    rows, cols = have.slices_in(whole)
    return cube.isel(y=rows, x=cols), have


def chunks_of(array: da.Array | NDArray[np.generic]) -> Chunks:
    """Return what a delayed function is given of an array, for `join_chunks`.

    A lazy array given to a delayed function is optimised by itself, so that reading a
    chunk becomes a part of each task that needs a piece of it, and is done for each.
    Tasks given one by one stay tasks, and a chunk is read once for all.

    Args:
        array: Shape (band, height, width).
    """
    if isinstance(array, da.Array):
        chunks: list[Any] = array.to_delayed(optimize_graph=False).tolist()
        return chunks
    return array


def join_chunks(chunks: Chunks) -> NDArray[np.generic]:
    """Return the array that `chunks_of` gave to a delayed function.

    Args:
        chunks: An array, or computed chunks by band, row and column.
    """
    return np.block(chunks) if isinstance(chunks, list) else chunks


def require_one_date(cube: xr.DataArray) -> None:
    """Refuse a cube over time, where what is learnt is of one raster.

    Args:
        cube: Any cube.

    Raises:
        GridError: It has a dim `time`.
    """
    if "time" in cube.dims:
        raise GridError(
            f"the cube has {cube.sizes['time']} dates, and this looks "
            "at one raster; choose a date, cube.isel(time=0), or make a composite, "
            "areca.composite(cube, 'median')"
        )


def map_stage(stage: Stage, cube: xr.DataArray) -> xr.DataArray:
    """Apply a stage to a lazy cube, chunk by chunk; one task a chunk, nothing computed.

    The halo is cut from the cube by slicing, so the answer does not depend on the
    chunks. Beyond the cube's edge a stage sees NaN. A block says where it lies
    (`areca.tiles.place_of`).

    Args:
        stage: What to apply.
        cube: Dims (band, y, x), with a CRS; an integer cube may carry its nodata value
            in `rio.nodata`. Of a cube over time (time, band, y, x) each date by itself.

    Returns:
        The same dims with the stage's bands, float32, NaN where nothing is known.
        Chunks along y and x are those of the cube.
    """
    if "time" in cube.dims:
        dates = [map_stage(stage, cube.isel(time=n)) for n in range(cube.sizes["time"])]
        return xr.concat(
            dates, dim=cube["time"], coords="minimal", compat="override",
            join="override", combine_attrs="override",
        )  # fmt: skip
    geobox = cube_geobox(cube)
    lattice = Lattice.of(geobox, core_px=1)
    whole = lattice.window(geobox)
    rows, cols = _chunks(cube, "y"), _chunks(cube, "x")
    nodata = cube.rio.nodata
    names = tuple(str(name) for name in cube.band.values)
    run = delayed(_run_stage, pure=True)
    # A leaf of the graph: Dask would walk through the fields of a stage in every task.
    shared = delayed(stage, name=f"areca-stage-{tokenize(stage)}", traverse=False)
    lines: list[list[da.Array]] = []
    for row0, row1 in rows:
        line: list[da.Array] = []
        for col0, col1 in cols:
            want = Window(row0, col0, row1, col1).grow(stage.halo_px)
            part, have = slice_padded(cube, want)
            place = Place(lattice, want.shift(whole.row0, whole.col0))
            block = run(
                shared, chunks_of(part.data), (have, want), (names, place), nodata
            )
            shape = (len(stage.bands), row1 - row0, col1 - col0)
            line.append(da.from_delayed(block, shape=shape, dtype=np.float32))
        lines.append(line)
    out = xr.DataArray(
        da.block(lines),
        dims=("band", "y", "x"),
        coords={"band": list(stage.bands), "y": cube.y, "x": cube.x},
        attrs={
            k: v for k, v in cube.attrs.items() if k not in {"nodata", "_FillValue"}
        },
    )
    out.name = cube.name  # not that of a Dask array, which differs by chunks
    out = out.rio.write_crs(str(geobox.crs)).rio.write_transform(geobox.affine)
    return out.rio.write_nodata(np.nan, encoded=False)  # type: ignore[no-any-return]


def _chunks(cube: xr.DataArray, dim: str) -> Sequence[tuple[int, int]]:
    sizes = cube.chunksizes.get(dim, (cube.sizes[dim],))
    ends = np.cumsum(sizes).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _run_stage(
    stage: Stage,
    chunks: Chunks,
    windows: tuple[Window, Window],
    about: tuple[tuple[str, ...], Place],
    nodata: float | None,
) -> NDArray[np.float32]:
    have, want = windows
    names, place = about
    pixels = join_chunks(chunks)
    floats = with_nan(pixels, valid_where(pixels, nodata))
    padded = pad_block(floats, have, want)
    block = xr.DataArray(padded, dims=("band", "y", "x"), coords={"band": list(names)})
    block = placed(block, place.lattice, place.window)
    return np.asarray(stage(block).data, dtype=np.float32)
