"""Twice the workers, four and sixteen times the area: is a census linear?

    python benchmarks/scaling.py [--rounds 5] [--catalog SCENE]

Whole runs of `oil_palm_census`, from request to report. Area 1 is the upper left
quarter of a scene, area 4 the scene, area 16 the scene and its mirror images. The
scene is Kluang west (22 Mpx) where it lies in ../shared/data, else a drawn one.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pipeline
import rasterio
from arms import in_turn, options, print_table, reported, spread

from areca.runs.ledger import workers_of
from areca.runtime import peak_memory_bytes
from areca_pipelines import run

SHARED = Path(__file__).parents[2] / "shared" / "data"
KLUANG = SHARED / "kluang_oil_palm" / "kluang_west.tif"
AREAS = (1, 4, 16)
WORKERS = (1, 2)


class Run(NamedTuple):
    """What one run took."""

    total_s: float
    blocks_s: float
    blocks: int
    objects: int
    worker_gb: float
    client_gb: float


def write_area(scene: Path, path: Path, area: int) -> int:
    """Write a quarter of a scene, all of it, or 2 x 2 of it; return its pixels."""
    with rasterio.open(scene) as file:
        pixels, profile = file.read(), file.profile
    if area == 1:
        pixels = pixels[:, : file.height // 2, : file.width // 2]
    elif area == 16:
        pixels = np.concatenate([pixels, pixels[:, :, ::-1]], axis=2)
        pixels = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    _, height, width = pixels.shape
    profile.update(
        driver="GTiff", height=height, width=width, compress="deflate", predictor=2,
        zlevel=1, photometric="rgb", num_threads="all_cpus",
    )  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
    return height * width


def census(scene: Path, workers: int) -> Run:
    """Run a whole census; returns what it took."""
    with tempfile.TemporaryDirectory() as out:
        result = run("oil_palm_census", catalog=scene, out=Path(out) / "run",
                     settings={"workers": workers})  # fmt: skip
    starts, ends = zip(*[(b.started, b.ended) for b in result.blocks], strict=True)
    peaks = [w["peak_memory_bytes"] for w in workers_of(result.blocks).values()]
    return Run(
        result.wall_s, max(ends) - min(starts), len(result.blocks),
        result.summary.count, max(peaks) / 1e9, peak_memory_bytes() / 1e9,
    )  # fmt: skip


def row(title: tuple[object, ...], runs: list[Run], work: list[float]) -> tuple:
    """Return a row of the table.

    Args:
        title: Area, pixels and workers.
        runs: One a round.
        work: Seconds of the blocks of area 4 with one worker, a round, times the area
            over 4 and over the workers: what linear would be.
    """
    first = runs[0]
    ideal = [w / r.blocks_s for w, r in zip(work, runs, strict=True)]
    return (
        *title, first.blocks, first.objects, spread((r.total_s for r in runs), ".1f"),
        spread((r.blocks_s for r in runs), ".1f"), spread(ideal),
        *(f"{statistics.median(r[n] for r in runs):.2f}" for n in (4, 5)),
    )  # fmt: skip


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--catalog", type=Path, default=None, help="a GeoTIFF")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = given.catalog or KLUANG
        if not scene.is_file():
            scene = folder / "drawn.tif"
            pipeline.draw(scene, 10)
        with reported(f"Scaling, {scene.name}"):
            sizes = {
                area: write_area(scene, folder / f"{area}.tif", area) for area in AREAS
            }
            keys = [(area, workers) for area in AREAS for workers in WORKERS]
            seen = in_turn(
                {str(k): (census, folder / f"{k[0]}.tif", k[1]) for k in keys},
                given.rounds,
            )
            base = [r.blocks_s / sizes[4] for r in seen[str((4, 1))]]
            print_table(
                ("area", "Mpx", "workers", "blocks", "objects", "request to report, s",
                 "blocks, s", "linear / measured", "GB a worker", "GB the client"),
                [row((k[0], f"{sizes[k[0]] / 1e6:.1f}", k[1]), seen[str(k)],
                     [b * sizes[k[0]] / k[1] for b in base]) for k in keys],
            )  # fmt: skip


if __name__ == "__main__":
    main()
