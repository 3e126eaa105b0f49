"""Zarr cubes: a lazy cube, kept; written shard by shard, resumed, longer in time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from affine import Affine
from dask.base import compute
from dask.delayed import delayed

from areca.catalog.hrefs import redact_link
from areca.catalog.zarr_layout import Layout, layout_of
from areca.catalog.zarr_place import GRID_MAPPING, write_place
from areca.catalog.zarr_store import ARRAY, FACTS, Shard, ZarrStore, edges_of, shards_of
from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import zarr
    from dask.delayed import Delayed

CHUNK_PX = 512
"""Edge of what a reader fetches at once."""
AT_ONCE = 64
"""Shards in one graph: enough for many workers, and few for the scheduler."""
UNITS = "microseconds since 1970-01-01"


def write_cube(
    cube: xr.DataArray,
    path: str | Path,
    *,
    shard_px: int | None = None,
    chunk_px: int = CHUNK_PX,
    storage_options: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a lazy cube as Zarr v3, one Dask block a shard; never all of it in memory.

    The same call again goes on where it stopped: shards that are there are not computed
    a second time. A cube with later dates makes the stored one longer. The store opens
    in xarray and rioxarray, and tells its place by the Zarr conventions too.

    Args:
        cube: Dims (band, y, x) or (time, band, y, x) with a CRS, for example from
            `areca.open_cube`. Missing is NaN in floats and `rio.nodata` in integers.
        path: Folder of the store, or address such as `s3://bucket/cube.zarr`.
        shard_px: Edge of a shard, px; by default that of the cube's chunks where they
            are regular, else 2048. Chunks that lie across shards are computed once for
            each row of shards that they touch.
        chunk_px: Edge of the chunks inside a shard, px; it divides the shard.
        storage_options: What fsspec needs to reach the store.
        progress: Told how many shards are done, and of how many.

    Raises:
        InputError: The store holds another cube (the message says what differs), a date
            lies before the last one there, or the edges do not fit.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - some come from the helpers
    layout = layout_of(cube, shard_px, chunk_px)
    store = ZarrStore(str(path), dict(storage_options or {}))
    dates = _claimed(store, cube, layout)
    shards = shards_of(layout.shape, layout.edges(layout.shard_px))
    places = {_place(here, dates): here for here in shards}
    missing = sorted(places.keys() - store.written())
    for start in range(0, len(missing), AT_ONCE):
        batch = missing[start : start + AT_ONCE]
        compute(
            *(_task(store, cube, layout, (places[place], place)) for place in batch)
        )
        if progress is not None:
            progress(len(places) - len(missing) + start + len(batch), len(places))


def read_cube(
    path: str | Path, *, storage_options: Mapping[str, Any] | None = None
) -> xr.DataArray:
    """Open a cube that `write_cube` wrote; lazy, one Dask chunk a shard.

    Args:
        path: Folder or address of the store.
        storage_options: What fsspec needs to reach it.

    Returns:
        The cube as it was: dims, names, numbers, nodata, CRS and attributes.

    Raises:
        InputError: There is no such cube.
    """  # noqa: DOC502 - raised by ZarrStore
    store = ZarrStore(str(path), dict(storage_options or {}))
    array = store.array()
    facts: Any = store.group().attrs[FACTS]
    dataset = xr.open_zarr(
        store.path,
        chunks=None,
        consolidated=False,
        mask_and_scale=False,
        storage_options=store.storage_options or None,
    )
    cube = dataset[ARRAY].drop_vars("spatial_ref", errors="ignore").rename("areca")
    cube = cube.assign_coords(band=[str(name) for name in cube.band.values])
    cube = cube.chunk(dict(zip(cube.dims, edges_of(array), strict=True)))
    cube.attrs.pop("grid_mapping", None)
    nodata = cube.attrs.pop("_FillValue", None)
    cube.encoding = {}
    cube = cube.rio.write_crs(facts["crs"]).rio.write_transform(
        Affine(*facts["transform"])
    )
    if nodata is not None:
        cube.attrs |= {"_FillValue": nodata, "nodata": nodata}
    return cube  # type: ignore[no-any-return]


def _claimed(store: ZarrStore, cube: xr.DataArray, layout: Layout) -> list[int]:
    """Make a store, or check one, for a cube.

    Returns:
        The position of each date of the cube in the store.

    Raises:
        InputError: It holds another cube, something else, or a later date than a new
            one.
    """  # noqa: DOC502 - raised by the helpers
    _check_order(layout.times)
    facts = _as_json(layout.facts())
    if not store.exists():
        store.create({FACTS: facts})
    group: zarr.Group = store.group("r+")
    if (there := group.attrs.get(FACTS)) is None:
        store.array()  # says that this is no cube
    _refuse_differences(store.path, cast("dict[str, Any]", there), facts)
    if "spatial_ref" not in group:  # new, or its writer was killed before this
        _create(group, cube, layout)
    return (
        _extended(store, group, layout) if layout.has_time else _checked(store, layout)
    )


def _create(group: zarr.Group, cube: xr.DataArray, layout: Layout) -> None:
    """Write the empty arrays of a cube."""
    missing = {} if layout.nodata is None else {"_FillValue": layout.nodata}
    group.create_array(
        ARRAY,
        shape=layout.shape,
        dtype=layout.dtype,
        chunks=layout.edges(layout.chunk_px),
        shards=layout.edges(layout.shard_px),
        fill_value=math.nan if layout.dtype.kind == "f" else layout.nodata or 0,
        dimension_names=layout.dims,
        attributes={**layout.attrs, **missing, "grid_mapping": GRID_MAPPING},
        overwrite=True,
    )
    names = group.create_array(
        "band",
        shape=(len(layout.bands),),
        dtype="string",
        dimension_names=("band",),
        overwrite=True,
    )
    names[:] = np.array(layout.bands, object)
    if layout.has_time:
        _create_times(group, layout)
    write_place(group, layout.geobox, cube.x.to_numpy(), cube.y.to_numpy())


def _create_times(group: zarr.Group, layout: Layout) -> None:
    axis = group.create_array(
        "time",
        shape=layout.times.shape,
        chunks=(1024,),
        dtype="int64",
        dimension_names=("time",),
        attributes={"units": UNITS, "calendar": "proleptic_gregorian"},
        overwrite=True,
    )
    axis[:] = layout.times.astype(np.int64)


def _checked(store: ZarrStore, layout: Layout) -> list[int]:
    """Refuse other attributes, such as other items.

    Returns:
        Nothing: a cube without time has no dates.
    """
    attrs = store.array().attrs
    _refuse_differences(
        store.path, {k: attrs.get(k) for k in layout.attrs}, layout.attrs
    )
    return []


def _extended(store: ZarrStore, group: zarr.Group, layout: Layout) -> list[int]:
    """Make a store longer by the dates that it lacks.

    Returns:
        Where each date of the cube lies.
    """
    array, axis = store.array("r+"), cast("zarr.Array[Any]", group["time"])
    kept = np.asarray(axis[:]).astype("M8[us]")
    # As integers, in which one undated layer is found again: NaT equals nothing.
    is_there = np.isin(layout.times.astype(np.int64), kept.astype(np.int64))
    new = layout.times[~is_there]
    dates = np.concatenate([kept, new])
    _check_order(dates)
    if len(new):
        # Pixels first: a date that is told has its place.
        array.resize((len(dates), *array.shape[1:]))
        axis.resize((len(dates),))
        axis[len(kept) :] = new.astype(np.int64)
        array.attrs.update(_joined(dict(array.attrs), layout.attrs))
    moments = dates.astype(np.int64)
    where: list[int] = np.searchsorted(moments, layout.times.astype(np.int64)).tolist()
    return where


def _joined(kept: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    """Return attributes of a longer cube; lists, such as that of items, are joined."""
    lists = {
        name: [*kept[name], *(one for one in more if one not in kept[name])]
        for name, more in added.items()
        if isinstance(more, list) and isinstance(kept.get(name), list)
    }
    return {**added, **lists}


def _check_order(times: np.ndarray[Any, np.dtype[np.datetime64]]) -> None:
    """Refuse dates that do not rise, and layers without a date beside others.

    Raises:
        InputError: Names the first that does not, or how many have none.
    """
    undated = int(np.isnat(times).sum())
    if undated and len(times) > 1:
        raise InputError(
            f"{undated} of {len(times)} layers have no date, by which a stored cube "
            "tells its layers apart; give them dates (items of a STAC catalogue; "
            "--dates %Y%m%d or areca.search(…, dates='%Y%m%d') where names of files "
            "have them; item.datetime of what areca.search found; coordinate `time`), "
            'or make one layer of them (time="mosaic")'
        )
    falls = np.flatnonzero(np.diff(times) <= np.timedelta64(0, "us"))
    if len(falls):
        before, after = times[falls[0]], times[falls[0] + 1]
        if before == after:
            raise InputError(
                f"two layers have the date {after}, and a stored cube has one for "
                'each; make one layer of a day\'s items (time="day")'
            )
        raise InputError(
            f"the date {after} would follow {before}, and a stored cube takes dates at "
            "its end only; sort the cube by time, or write all dates to a new store"
        )


def _refuse_differences(
    path: str, there: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Refuse to mix two cubes.

    Raises:
        InputError: Says what differs.
    """
    differs = [
        f"{name} is {there.get(name)} there and {value} here"
        for name, value in wanted.items()
        if there.get(name) != value
    ]
    if differs:
        raise InputError(
            f"{redact_link(path)} holds another cube ({'; '.join(differs)}); write to "
            "a new path"
        )


def _place(shard: Shard, dates: list[int]) -> Shard:
    """Return where a shard of the cube lies in the store."""
    return (dates[shard[0]], *shard[1:]) if dates else shard


def _task(
    store: ZarrStore, cube: xr.DataArray, layout: Layout, shard: tuple[Shard, Shard]
) -> Delayed:
    """Return the task that computes one shard and writes it."""
    here, there = shard
    edges = layout.edges(layout.shard_px)
    part = cube.data[
        tuple(slice(n * e, (n + 1) * e) for n, e in zip(here, edges, strict=True))
    ]
    return delayed(store.write)(there, part)  # type: ignore[no-any-return]


def _as_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as JSON gives them back."""
    return {k: [*v] if isinstance(v, tuple) else v for k, v in facts.items()}
