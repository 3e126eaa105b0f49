"""The readers that `read.py` compares, and what each is given to read."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import dask
import dask.array as da
import numpy as np
import odc.stac
import pystac
import rasterio
import rioxarray
import stackstac
from affine import Affine
from async_geotiff import GeoTIFF, Window
from async_tiff.store import HTTPStore, LocalStore
from odc.geo.geobox import GeoBox
from rasterio.windows import Window as RasterWindow

import areca
from areca.catalog import set_origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

BANDS = ("red", "green", "blue", "nir")
CRS = "EPSG:32614"
CHUNK, OFFSET, SMALL = 1024, 300, 700
PLACE = Affine(1, 0, 500_000, 0, -1, 5_000_000)


class Job(NamedTuple):
    """What an arm reads."""

    root: str
    """Folder or address."""
    files: tuple[str, ...]
    edge: int
    threads: int

    @property
    def links(self) -> list[str]:
        return [f"{self.root}/{name}" for name in self.files]

    @property
    def small(self) -> Job:
        """A scene of a few pixels in the same layout."""
        files = tuple(f"small-{name}" for name in self.files)
        return self._replace(files=files, edge=SMALL)

    @property
    def side(self) -> int:
        """Edge of the window."""
        return self.edge - 2 * OFFSET

    @property
    def geobox(self) -> GeoBox:
        shift = Affine.translation(OFFSET, OFFSET)
        return GeoBox((self.side, self.side), PLACE * shift, CRS)


class Figure(NamedTuple):
    """What an arm took."""

    rate: float
    """Millions of samples a second."""
    processor: float
    """Millions of samples a second of this process on a processor."""
    peak_mb: float
    """Peak of the process, less what it had before the read."""
    checksum: int


def items_of(job: Job) -> list[pystac.Item]:
    """Return the scene as one STAC item that tells all there is to know."""
    item = pystac.Item(
        "scene", None, [-99, 45, -98, 46], dt.datetime(2024, 5, 1, tzinfo=dt.UTC),
        {"proj:epsg": 32614, "proj:shape": [job.edge, job.edge],
         "proj:transform": list(PLACE)[:6]},
        stac_extensions=[
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json"],
    )  # fmt: skip
    ring = [[-99, 45], [-98, 45], [-98, 46], [-99, 46], [-99, 45]]
    item.geometry = {"type": "Polygon", "coordinates": [ring]}
    groups = [BANDS] if len(job.files) == 1 else [(name,) for name in BANDS]
    for link, names in zip(job.links, groups, strict=True):
        extra = {
            "eo:bands": [{"name": name, "common_name": name} for name in names],
            "raster:bands": [{"data_type": "uint8", "nodata": 0} for _ in names],
        }
        key = "image" if len(names) > 1 else names[0]
        media = "image/tiff; application=geotiff; profile=cloud-optimized"
        item.add_asset(key, pystac.Asset(link, None, None, media, ["data"], extra))
    return [item]


def windows(job: Job) -> list[tuple[slice, slice]]:
    """Return chunks that share no tile of a file."""
    inner = range(CHUNK - OFFSET, job.side, CHUNK)
    cuts = [slice(*pair) for pair in pairwise([0, *inner, job.side])]
    return [(rows, cols) for rows in cuts for cols in cuts]


def peak_mb() -> float:
    """Return the most memory this process has had; `getrusage` counts its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def timed(job: Job, read: Callable[[Job], NDArray[Any]]) -> Figure:
    read(job.small)  # what the first call of a process brings with it
    before = peak_mb()
    start, worked = time.perf_counter(), time.process_time()
    pixels = read(job)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    peak = peak_mb() - before
    checksum = zlib.crc32(np.ascontiguousarray(pixels.astype(np.uint8)))
    samples = pixels.size / 1e6
    return Figure(samples / seconds, samples / worked, peak, checksum)


def by_areca(job: Job, reader: str) -> Figure:
    return timed(job, lambda job: into_one(job, cube_of(job, reader)))


def by_areca_computed(job: Job) -> Figure:
    """Leave it to Dask to join the chunks, which it does in one thread."""

    def read(job: Job) -> NDArray[Any]:
        with dask.config.set(scheduler="threads", num_workers=job.threads):
            return np.asarray(cube_of(job, "direct").compute())

    return timed(job, read)


def cube_of(job: Job, reader: str) -> da.Array:
    items = set_origin(items_of(job), job.root)
    how = areca.CubeOptions(chunk_px=CHUNK, reader=reader)
    return areca.open_cube(items, bands=BANDS, geobox=job.geobox, options=how).data


def into_one(job: Job, lazy: da.Array) -> NDArray[Any]:
    """Put the chunks where they belong in one array, as the other arms do."""
    out = np.empty(lazy.shape, np.uint8)
    with dask.config.set(scheduler="threads", num_workers=job.threads):
        da.store(lazy, out, lock=False)
    return out


def by_rasterio(job: Job) -> Figure:
    """Read all bands of a file in one read; each thread has handles and an area."""

    def read(job: Job) -> NDArray[Any]:
        out = np.empty((4, job.side, job.side), np.uint8)

        def part(places: list[tuple[slice, slice]]) -> None:
            files = [rasterio.open(link) for link in job.links]
            for rows, cols in places:
                window = RasterWindow.from_slices(
                    (rows.start + OFFSET, rows.stop + OFFSET),
                    (cols.start + OFFSET, cols.stop + OFFSET),
                )
                first = 0
                for file in files:
                    here = slice(first, first := first + file.count)
                    out[here, rows, cols] = file.read(window=window)
            for file in files:
                file.close()

        every = windows(job)
        share = -(-len(every) // job.threads)
        shares = [every[k : k + share] for k in range(0, len(every), share)]
        env = rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR")
        with env, ThreadPoolExecutor(job.threads) as pool:
            list(pool.map(part, shares))
        return out

    return timed(job, read)


def by_rioxarray(job: Job) -> Figure:
    def read(job: Job) -> NDArray[Any]:
        cut = slice(OFFSET, OFFSET + job.side)
        chunks = {"band": -1, "y": CHUNK, "x": CHUNK}
        opened = [
            rioxarray.open_rasterio(link, chunks=chunks, lock=False)
            for link in job.links
        ]
        lazy = da.concatenate([one.isel(y=cut, x=cut).data for one in opened])
        return into_one(job, lazy)

    return timed(job, read)


def by_odc_stac(job: Job) -> Figure:
    def read(job: Job) -> NDArray[Any]:
        bands = [f"image.{k}" for k in range(1, 5)] if len(job.files) == 1 else BANDS
        found = odc.stac.load(
            items_of(job), bands=bands, geobox=job.geobox,
            chunks={"x": CHUNK, "y": CHUNK},
        )  # fmt: skip
        return into_one(job, found.to_dataarray().data[:, 0])

    return timed(job, read)


def by_stackstac(job: Job) -> Figure:
    def read(job: Job) -> NDArray[Any]:
        stack = stackstac.stack(
            items_of(job), assets=list(BANDS), epsg=32614, resolution=1,
            bounds=tuple(job.geobox.boundingbox), chunksize=CHUNK, dtype=np.dtype("u1"),
            fill_value=np.uint8(0), rescale=False, snap_bounds=False,
        )  # fmt: skip
        return into_one(job, stack.data[0])

    return timed(job, read)


def by_async_geotiff(job: Job) -> Figure:
    """Read all chunks at once on one event loop; its decoder has threads of its own."""
    is_web = urlsplit(job.root).scheme == "http"
    web = {"client_options": {"allow_http": True}}
    store = HTTPStore(job.root, **web) if is_web else LocalStore(job.root)

    async def gathered(job: Job) -> NDArray[Any]:
        out = np.empty((4, job.side, job.side), np.uint8)
        files = [await GeoTIFF.open(name, store=store) for name in job.files]

        async def part(first: int, file: GeoTIFF, rows: slice, cols: slice) -> None:
            window = Window(
                col_off=cols.start + OFFSET, row_off=rows.start + OFFSET,
                width=cols.stop - cols.start, height=rows.stop - rows.start,
            )  # fmt: skip
            found = np.asarray((await file.read(window=window)).data)
            out[first : first + len(found), rows, cols] = found

        await asyncio.gather(*[
            part(k, file, rows, cols)
            for k, file in enumerate(files) for rows, cols in windows(job)
        ])  # fmt: skip
        return out

    return timed(job, lambda job: asyncio.run(gathered(job)))
