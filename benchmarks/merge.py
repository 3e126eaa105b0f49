"""One polygon per region: stitched pieces of blocks, the whole array, a dissolve.

    python benchmarks/merge.py [--rounds 3] [--objects 100000 1000000 10000000]

Discs of three classes, one in each square of 16 pixels, in a Zarr array. Each arm
reads it and makes one polygon per region, in a process of its own and on one core.
Seconds are those of the processor, so that other programs do not count:

- areca: `areca.polygonize`, block by block;
- whole array: `rasterio.features.shapes` over all of it;
- dissolve: `rasterio.features.shapes` block by block, then `GeoDataFrame.dissolve` by
  class and `explode`, which is the usual way to put blocks together.

Their polygons are compared, vertex by vertex, for the smallest number of objects. The
second table unites only the pieces that touch the edges of blocks, the same for both.
(`dissolve(method="coverage")` is faster, but refuses pixel outlines: where one corner
lies on an edge of the neighbour they are not noded.)
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import dask
import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import shapely
import xarray as xr
import zarr
from affine import Affine
from arms import fresh, in_turn, options, print_table, reported, spread

import areca
from areca.objects import canonical, polygonise_block, stitch
from areca.runtime import peak_memory_bytes
from areca.tiles import Window

SPACING = 16
BLOCK = 2048
CLASSES = [1, 2, 3]
AFFINE = Affine(1, 0, 0, 0, -1, 0)


class Made(NamedTuple):
    """What one arm took and made."""

    seconds: float
    polygons: int
    vertices: int
    peak: int
    """Peak memory of the process, bytes."""
    digest: str = ""


def draw(path: Path, objects: int) -> int:
    """Write the raster, strip by strip; returns its edge in pixels."""
    across = round(objects**0.5)
    size = across * SPACING
    group = zarr.create_group(path, zarr_format=3, overwrite=True)
    array = group.create_array(
        "label", shape=(size, size), dtype="uint8", chunks=(BLOCK, BLOCK),
        dimension_names=("y", "x"),
    )  # fmt: skip
    rows, cols = np.indices((BLOCK, BLOCK), np.float32) + 0.5
    for top in range(0, size, BLOCK):
        for left in range(0, size, BLOCK):
            rng = np.random.default_rng([top, left])
            cells = (BLOCK // SPACING,) * 2
            middle = rng.uniform(5, 11, (2, *cells)).astype(np.float32)
            radius = rng.uniform(3, 7.5, cells).astype(np.float32)
            kind = rng.integers(1, 4, cells).astype(np.uint8)

            def spread_out(values: np.ndarray) -> np.ndarray:
                return values.repeat(SPACING, -2).repeat(SPACING, -1)

            away = np.hypot(rows % SPACING - spread_out(middle[0]),
                            cols % SPACING - spread_out(middle[1]))  # fmt: skip
            labels = spread_out(kind) * (away < spread_out(radius))
            # Half a square further on, so that the edges of blocks cut discs.
            labels = np.roll(labels, (SPACING // 2,) * 2, (0, 1))
            high, wide = min(BLOCK, size - top), min(BLOCK, size - left)
            array[top : top + high, left : left + wide] = labels[:high, :wide]
    return size


def opened(path: Path) -> xr.DataArray:
    """Return the raster, lazy, with a place."""
    labels = xr.open_zarr(path, consolidated=False, mask_and_scale=False)["label"]
    height, width = labels.shape
    labels = labels.assign_coords(
        y=-(np.arange(height) + 0.5), x=np.arange(width) + 0.5
    )
    return labels.rio.write_crs("EPSG:32648").rio.write_transform(AFFINE)


def facts(table: pd.DataFrame) -> pd.DataFrame:
    shapes = table.geometry.to_numpy()
    count = shapely.get_num_coordinates(shapes).sum() if len(shapes) else 0
    return pd.DataFrame({"polygons": [len(shapes)], "vertices": [int(count)]})


def digest(shapes: np.ndarray) -> str:
    """Return one text for one set of polygons in any order, vertex by vertex."""
    pixels = shapely.transform(shapes, lambda p: p * (1, -1))
    total = sum(
        int.from_bytes(hashlib.blake2b(wkb, digest_size=8).digest())
        for wkb in shapely.to_wkb(canonical(pixels))
    )
    return f"{total % 2**64:016x}"


def by_areca(path: str, check: int) -> Made:
    start = time.process_time()
    with dask.config.set(scheduler="synchronous"):
        table = areca.polygonize(opened(Path(path)), classes=CLASSES)
        meta = pd.DataFrame({"polygons": [0], "vertices": [0]})
        found = table.map_partitions(facts, meta=meta).compute()
        seconds, peak = time.process_time() - start, peak_memory_bytes()
        name = digest(table.compute().geometry.to_numpy()) if check else ""
    return Made(seconds, int(found["polygons"].sum()), int(found["vertices"].sum()),
                peak, name)  # fmt: skip


def traced(labels: np.ndarray, affine: Affine) -> tuple[list, list]:
    """Return polygons and classes by rasterio."""
    found = rasterio.features.shapes(labels, mask=labels > 0, transform=affine)
    pairs = [(shapely.geometry.shape(shape), value) for shape, value in found]
    return [shape for shape, _ in pairs], [value for _, value in pairs]


def by_whole_array(path: str, check: int) -> Made:
    start = time.process_time()
    shapes, classes = traced(opened(Path(path)).to_numpy(), AFFINE)
    table = gpd.GeoDataFrame({"label": classes}, geometry=shapes, crs="EPSG:32648")
    return made(table, start, check)


def by_dissolve(path: str, check: int) -> Made:
    start = time.process_time()
    raster = opened(Path(path))
    size = raster.sizes["x"]
    shapes, classes = [], []
    for top in range(0, size, BLOCK):
        for left in range(0, size, BLOCK):
            block = raster[top : top + BLOCK, left : left + BLOCK].to_numpy()
            more = traced(block, AFFINE @ Affine.translation(left, top))
            shapes += more[0]
            classes += more[1]
    table = gpd.GeoDataFrame({"label": classes}, geometry=shapes, crs="EPSG:32648")
    return made(table.dissolve("label").explode(), start, check)


def made(table: gpd.GeoDataFrame, start: float, check: int) -> Made:
    seconds, peak = time.process_time() - start, peak_memory_bytes()
    own = facts(table).iloc[0]
    name = digest(table.geometry.to_numpy()) if check else ""
    return Made(seconds, int(own["polygons"]), int(own["vertices"]), peak, name)


def seams(path: str) -> tuple[int, int, float, float]:
    """Return pieces at the edges of blocks, their regions, and seconds of each way."""
    raster = opened(Path(path))
    size = raster.sizes["x"]
    found = []
    for top in range(0, size, BLOCK):
        for left in range(0, size, BLOCK):
            block = raster[top : top + BLOCK, left : left + BLOCK].to_numpy()
            window = Window(top, left, top + block.shape[0], left + block.shape[1])
            rows = polygonise_block(block, window, skip=[0])
            found.append(rows[rows["open"]])
    pieces = pd.concat(found, ignore_index=True)
    begin = time.process_time()
    ours = stitch(pieces)
    own = time.process_time() - begin
    shapes = shapely.from_wkb(pieces["outline"].to_numpy(object))
    begin = time.process_time()
    table = gpd.GeoDataFrame({"label": pieces["label"]}, geometry=shapes)
    theirs = table.dissolve("label").explode()
    dissolve = time.process_time() - begin
    same = set(shapely.to_wkb(canonical(theirs.geometry.to_numpy())))
    if same != set(ours["outline"].map(bytes)):
        raise SystemExit("the united pieces differ")
    return len(pieces), len(ours), own, dissolve


def main() -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--objects", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--dissolve", type=int, default=100_000,
                        help="most objects to dissolve")  # fmt: skip
    parser.add_argument("--whole", type=int, default=1_000_000,
                        help="most objects of the whole array")  # fmt: skip
    given = parser.parse_args()
    rows, lines = [], []
    with tempfile.TemporaryDirectory() as folder, reported("Merge"):
        for objects in given.objects:
            path = str(Path(folder) / f"{objects}.zarr")
            pixels = draw(Path(path), objects) ** 2
            check = objects == min(given.objects)
            arms = {"areca": (by_areca, path, check)}
            if objects <= given.whole:
                arms["whole array"] = (by_whole_array, path, check)
            if objects <= given.dissolve:
                arms["dissolve"] = (by_dissolve, path, check)
            seen = in_turn(arms, given.rounds)
            if len({run.digest for runs in seen.values() for run in runs} - {""}) > 1:
                raise SystemExit("the polygons differ")
            for name, runs in seen.items():
                seconds = [run.seconds for run in runs]
                rows.append((
                    f"{runs[0].polygons:,}", f"{pixels / 1e6:.0f}", name,
                    spread(seconds, ".1f"),
                    f"{pixels / 1e6 / sorted(seconds)[len(seconds) // 2]:.1f}",
                    f"{runs[0].polygons / sorted(seconds)[len(seconds) // 2]:,.0f}",
                    spread(run.peak / 1e9 for run in runs),
                ))  # fmt: skip
            ways = [fresh(seams, path) for _ in range(given.rounds)]
            pieces, regions = ways[0][:2]
            lines.append((
                f"{pieces:,}", f"{regions:,}",
                *(spread((way[n] for way in ways), ".3f") for n in (2, 3)),
                f"{pieces / sorted(way[2] for way in ways)[len(ways) // 2]:,.0f}",
            ))  # fmt: skip
            print(rows[-len(seen) :], lines[-1], file=sys.stderr, flush=True)
        print_table(("objects", "Mpx", "arm", "s", "Mpx/s", "objects/s",
                     "peak memory, GB"), rows)  # fmt: skip
        print_table(("pieces at edges", "regions", "areca, s", "dissolve, s",
                     "areca, pieces/s"), lines)  # fmt: skip


if __name__ == "__main__":
    main()
