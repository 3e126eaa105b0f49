"""What a Zarr cube is like: its axes, shards, numbers, and what they mean."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from areca.catalog.zarr_store import FACTS, ZarrStore
from areca.errors import InputError
from areca.tiles import cube_geobox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

SHARD_PX = 2048
"""Edge of a shard where the chunks of the cube give none."""
DIMS = (("band", "y", "x"), ("time", "band", "y", "x"))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a cube is stored."""

    dims: tuple[str, ...]
    bands: tuple[str, ...]
    times: NDArray[np.datetime64]
    """Shape (time,); empty for a cube without time."""
    geobox: GeoBox
    dtype: np.dtype[Any]
    nodata: float | None
    """What missing pixels have; None where none is missing, or NaN means it."""
    chunk_px: int
    shard_px: int
    attrs: dict[str, Any]
    """Attributes of the cube, plain data."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        inner = (len(self.bands), *map(int, self.geobox.shape))
        return (len(self.times), *inner) if self.has_time else inner

    @property
    def has_time(self) -> bool:
        """Whether the cube has dates."""
        return self.dims[0] == "time"

    def edges(self, size: int) -> tuple[int, ...]:
        """Return a chunk or a shard of some pixels: all bands, one date."""
        inner = (len(self.bands), size, size)
        return (1, *inner) if self.has_time else inner

    def facts(self) -> dict[str, Any]:
        """Return what must not change when a cube is resumed or made longer."""
        return {
            "dims": self.dims,
            "bands": self.bands,
            "crs": str(self.geobox.crs),
            "transform": tuple(self.geobox.affine)[:6],
            "height and width": tuple(map(int, self.geobox.shape)),
            "numbers": str(self.dtype),
            "nodata": self.nodata,
            "chunk_px": self.chunk_px,
            "shard_px": self.shard_px,
            "masks": self.attrs.get("masks", []),
        }


def layout_of(cube: xr.DataArray, shard_px: int | None, chunk_px: int) -> Layout:
    """Return how a cube will be stored.

    Args:
        cube: Dims (band, y, x) or (time, band, y, x).
        shard_px: Edge of a shard; by default that of the cube's chunks.
        chunk_px: Edge of a chunk inside it.

    Raises:
        InputError: The dims are others, or the edges do not fit.
        GridError: The cube has no place.
    """  # noqa: DOC502 - the place is cube_geobox's
    dims = tuple(map(str, cube.dims))
    if dims not in DIMS:
        raise InputError(
            f"a cube has the dims {' or '.join(map(str, DIMS))}, this one has {dims}; "
            "bring it there with transpose or expand_dims"
        )
    shard = shard_px or _regular(cube) or SHARD_PX
    if chunk_px < 1 or shard % chunk_px:
        raise InputError(
            f"a shard of {shard} px does not consist of whole chunks of {chunk_px} px; "
            f"give chunk_px that divides it, for example {np.gcd(shard, 512)}"
        )
    nodata = cube.rio.nodata
    plain = nodata is None or np.isnan(nodata)
    attrs = {k: v for k, v in cube.attrs.items() if k not in {"nodata", "_FillValue"}}
    return Layout(
        dims=dims,
        bands=tuple(map(str, cube.band.values)),
        times=np.asarray(cube.time.values if dims[0] == "time" else [], "M8[us]"),
        geobox=cube_geobox(cube),
        dtype=cube.dtype,
        nodata=None if plain else cube.dtype.type(nodata).item(),
        chunk_px=chunk_px,
        shard_px=shard,
        attrs=json.loads(json.dumps(attrs, default=_plain)),
    )


def _regular(cube: xr.DataArray) -> int | None:
    """Return the edge of the chunks, where all but the last of an axis have it."""
    edges = set()
    for dim in ("y", "x"):
        sizes = cube.chunksizes.get(dim, (cube.sizes[dim],))
        if len(sizes) > 1:
            edges |= set(sizes[:-1])
            edges |= {sizes[-1]} if sizes[-1] > sizes[0] else set()
    return edges.pop() if len(edges) == 1 else None


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)


def stored_geobox(
    path: str | Path, *, storage_options: Mapping[str, Any] | None = None
) -> GeoBox | None:
    """Return the pixels of the cube that a store holds, or was made for.

    Args:
        path: Folder or address of the store.
        storage_options: What fsspec needs to reach it.

    Returns:
        A window of its grid; None where there is no cube of `write_cube`.
    """
    store = ZarrStore(str(path), dict(storage_options or {}))
    facts: Any = store.group().attrs.get(FACTS) if store.exists() else None
    if facts is None:
        return None
    shape = tuple(facts["height and width"])
    return GeoBox(shape, Affine(*facts["transform"]), facts["crs"])
