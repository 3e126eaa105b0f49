"""Objects measured per second: areca, a loop over pyproj's Geod, planar GeoPandas.

    python benchmarks/measure.py [--rounds 3] [--objects 100000 1000000]
        [--streamed 100000 1000000 10000000]

Crowns of 80 vertices in EPSG:4326, spread over a UTM zone at 2 degrees north. Each arm
reads them (not counted) and measures them, in a process of its own and on one core.
Seconds are those of the processor, so that other programs do not count:

- areca: area, perimeter, centre, radius (`rectangle=False`); the default, with the
  smallest rectangle; all bounding columns (also both circles, calipers, pole);
  `areca.bounding_geometry` of all five kinds, drawn;
- Geod loop: `Geod.geometry_area_perimeter` and the centroid in degrees, row by row;
- planar: `to_crs` of the UTM zone, then area, length and centroid of GeoPandas; and
  these with the rectangle and both circles of GEOS.

What they found is compared for the smallest number of objects. The second table is
`areca measure FILE` on GeoParquet files (a pattern of crowns, repeated): wall and
processor seconds, and the peak memory of its process, which has no children; the last
line goes on along the slope of the two largest files to 100 million.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from arms import fresh, in_turn, load, options, print_table, reported, spread

import areca
from areca.measures import MeasureOptions
from areca.measures.drawing import FIELDS
from areca.runtime import peak_memory_bytes
from areca_pipelines.measuring import measure_file, measure_options

if TYPE_CHECKING:
    import argparse

VERTICES = 80
UTM = 32648
PATTERN = 5_000
"""Different crowns in a file that is streamed."""
GROUP = 50_000
MOST_STEPS = 0.15
GOAL = 100_000_000


class Took(NamedTuple):
    """What one arm took."""

    seconds: float
    peak: int
    """Peak memory of the process, bytes."""


class Streamed(NamedTuple):
    """What `areca measure` took for a file."""

    wall: float
    seconds: float
    peak: int
    count: int


def crowns(count: int, seed: int = 0) -> gpd.GeoDataFrame:
    """Return lobed crowns with a rough edge, radii 2 to 6 m, in degrees."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    wave = np.sin(3 * angle + rng.uniform(0, 6, (count, 1)))
    rough = rng.normal(size=(count, VERTICES))
    reach = rng.uniform(2, 6, (count, 1)) * (1 + MOST_STEPS * wave + 0.02 * rough)
    x = rng.uniform(3e5, 7e5, (count, 1)) + reach * np.cos(angle)
    y = rng.uniform(2e5, 2.4e5, (count, 1)) + reach * np.sin(angle)
    rings = shapely.linearrings(np.stack([x, y], axis=-1))
    table = gpd.GeoDataFrame(geometry=shapely.polygons(rings), crs=UTM)
    return table.to_crs(4326)


def write_pattern(path: str, count: int) -> None:
    """Write crowns that repeat: small on disk, and in memory as large as any."""
    part = pa.Table.from_pandas(
        pd.DataFrame({"geometry": crowns(PATTERN).geometry.to_wkb()}),
        preserve_index=False,
    )
    gpd.GeoDataFrame(geometry=[], crs=4326).to_parquet(path)
    # geopandas alone knows how to say what the column is.
    schema = part.schema.with_metadata({b"geo": pq.read_schema(path).metadata[b"geo"]})
    block = pa.concat_tables([part] * (GROUP // PATTERN)).cast(schema)
    with pq.ParquetWriter(path, schema, compression="zstd",
                          dictionary_pagesize_limit=1 << 26) as writer:  # fmt: skip
        for start in range(0, count, GROUP):
            writer.write_table(block.slice(0, min(GROUP, count - start)))


def by_areca(path: str, knobs: dict, out: str) -> Took:
    table = gpd.read_parquet(path)
    start = time.process_time()
    found = areca.measure(table, options=MeasureOptions(**knobs))
    return took(start, out, found.area_m2, found.perimeter_m,
                found.center_lon, found.center_lat)  # fmt: skip


def by_drawing(path: str, out: str) -> Took:
    table = gpd.read_parquet(path)
    start = time.process_time()
    for kind in FIELDS:
        areca.bounding_geometry(table, kind=kind)
    return took(start, out)


def by_geod(path: str, out: str) -> Took:
    table = gpd.read_parquet(path)
    geod = pyproj.Geod(ellps="WGS84")
    start = time.process_time()
    rows = []
    for shape in table.geometry:
        area, perimeter = geod.geometry_area_perimeter(shape)
        middle = shape.centroid
        rows.append((abs(area), perimeter, middle.x, middle.y))
    found = np.array(rows)
    np.sqrt(found[:, 0] / np.pi)
    return took(start, out, *found.T)


def by_plane(path: str, bounding: int, out: str) -> Took:
    table = gpd.read_parquet(path)
    start = time.process_time()
    plane = table.to_crs(UTM).geometry
    area, perimeter, middle = plane.area, plane.length, plane.centroid
    np.sqrt(area / np.pi)
    if bounding:
        rectangles = shapely.get_coordinates(plane.minimum_rotated_rectangle())
        np.hypot(*np.diff(rectangles.reshape(-1, 5, 2), axis=1).T)
        plane.minimum_bounding_radius()
        # As fine as areca: 1 % of the radius.
        inside = plane.maximum_inscribed_circle(tolerance=0.01 * area / perimeter)
        shapely.length(inside.to_numpy())
    middle = middle.to_crs(4326)
    return took(start, out, area, perimeter, middle.x, middle.y)


def took(start: float, out: str, *columns: object) -> Took:
    """Return seconds and peak; what was found goes to a file that `out` names."""
    seconds, peak = time.process_time() - start, peak_memory_bytes()
    if out and columns:
        np.save(out, np.column_stack([np.asarray(column) for column in columns]))
    return Took(seconds, peak)


def by_command(path: str, bounding: int, out: str) -> Streamed:
    begin, start = time.perf_counter(), time.process_time()
    done = measure_file(
        Path(path),
        Path(out),
        options=measure_options(None, None, bounding=bool(bounding)),
    )
    seen = Streamed(time.perf_counter() - begin, time.process_time() - start,
                    peak_memory_bytes(), done.summary.count)  # fmt: skip
    Path(out).unlink()
    return seen


def differences(folder: Path, names: list[str]) -> list[tuple[str, ...]]:
    """Return how far each arm is from areca: shares, and metres for centres."""
    geod = pyproj.Geod(ellps="WGS84")
    truth = np.load(folder / "areca, basic.npy")
    rows = []
    for name in names:
        if not (folder / f"{name}.npy").exists():
            continue
        found = np.load(folder / f"{name}.npy")
        area, perimeter = np.abs(found[:, :2] / truth[:, :2] - 1).max(axis=0)
        metres = np.abs(found[:, 0] - truth[:, 0]).max()
        _, _, away = geod.inv(*truth[:, 2:].T, *found[:, 2:].T)
        rows.append((name, f"{area:.1e}", f"{metres:.1e}", f"{perimeter:.1e}",
                     f"{np.max(away):.1e}"))  # fmt: skip
    return rows


def in_memory(given: argparse.Namespace, folder: Path) -> None:
    """Measure tables that are in memory; prints speeds and differences."""
    rows, compared = [], []
    for objects in given.objects:
        path = str(folder / f"{objects}.parquet")
        crowns(objects).to_parquet(path)
        check = objects == min(given.objects)

        def out(name: str, check: int = check) -> str:
            return str(folder / f"{name}.npy") if check else ""

        arms = {
            "areca, basic": (by_areca, path, {"rectangle": False}, out("areca, basic")),
            "areca, default": (by_areca, path, {}, out("areca, default")),
            "areca, all bounding": (
                by_areca, path, {"bounding": True}, out("areca, all bounding")),
            "areca, five kinds drawn": (by_drawing, path, ""),
            "planar GeoPandas": (by_plane, path, 0, out("planar GeoPandas")),
            "planar, all bounding": (by_plane, path, 1, out("planar, all bounding")),
        }  # fmt: skip
        if objects <= given.geod:
            arms["Geod loop"] = (by_geod, path, out("Geod loop"))
        seen = in_turn(arms, given.rounds)
        if check:
            compared = differences(folder, list(arms))
        for name, runs in seen.items():
            base = seen["areca, all bounding" if "bounding" in name else "areca, basic"]
            ratio = [
                run.seconds / own.seconds for run, own in zip(runs, base, strict=True)
            ]
            rows.append((
                f"{objects:,}", name, spread(run.seconds for run in runs),
                f"{objects / median(run.seconds for run in runs):,.0f}",
                spread(ratio), spread(run.peak / 1e9 for run in runs),
            ))  # fmt: skip
        Path(path).unlink()
    print_table(("objects", "arm", "processor s", "objects/s", "times areca's",
                 "peak memory, GB"), rows)  # fmt: skip
    print_table(("arm", "area, share", "area, m2", "perimeter, share", "centre, m"),
                compared)  # fmt: skip


def streamed(given: argparse.Namespace, folder: Path) -> None:
    """Measure files; prints seconds, peaks and where the slope leads."""
    rows, middles = [], []
    for objects in given.streamed:
        path = str(folder / "pattern.parquet")
        write_pattern(path, objects)
        runs = [
            fresh(by_command, path, int(given.bounding), str(folder / "out.parquet"))
            for _ in range(given.stream_rounds)
        ]
        print(f"{objects:,}: {runs}, {load()}", file=sys.stderr, flush=True)
        if {run.count for run in runs} != {objects}:
            raise SystemExit(f"{runs} do not have {objects} objects")
        middles.append([median(getattr(run, name) for run in runs)
                        for name in ("wall", "seconds", "peak")])  # fmt: skip
        rows.append((
            f"{objects:,}", spread((run.wall for run in runs), ".1f"),
            spread((run.seconds for run in runs), ".1f"),
            f"{objects / middles[-1][0]:,.0f}",
            spread(run.peak / 1e9 for run in runs),
        ))  # fmt: skip
    if len(middles) > 1:
        less, more = given.streamed[-2:]
        slope = np.subtract(middles[-1], middles[-2]) / (more - less)
        # Memory that does not grow may seem to shrink.
        wall, seconds, peak = middles[-1] + slope.clip(min=0) * (GOAL - more)
        rows.append((f"{GOAL:,} (slope)", f"{wall:,.0f}", f"{seconds:,.0f}",
                     f"{GOAL / wall:,.0f}", f"{peak / 1e9:.2f}"))  # fmt: skip
    print_table(("objects", "wall s", "processor s", "objects/s (wall)",
                 "peak memory, GB"), rows)  # fmt: skip


def main() -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--objects", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--geod", type=int, default=1_000_000,
                        help="most objects for the loop")  # fmt: skip
    parser.add_argument("--streamed", type=int, nargs="*",
                        default=[100_000, 1_000_000, 10_000_000])  # fmt: skip
    parser.add_argument("--stream-rounds", type=int, default=1)
    parser.add_argument("--bounding", action="store_true",
                        help="stream with all bounding columns")  # fmt: skip
    parser.add_argument("--folder", help="where files go: 20 GB for 10 million objects")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=given.folder) as folder,
        reported("Measure"),
    ):
        if given.objects:
            in_memory(given, Path(folder))
        if given.streamed:
            streamed(given, Path(folder))


if __name__ == "__main__":
    main()
