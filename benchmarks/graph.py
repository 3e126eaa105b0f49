"""What the client pays for a region: lazy graphs a tile, a regional run a block.

    python benchmarks/graph.py [--rounds 5] [--tiles 100 316]

Builds, optimises and materialises the graph of `areca.predict` (512 px tiles in blocks
of 8 x 8) and of `map_overlap` with a tile a chunk, as the tools of this field do, over
a scene without pixels; nothing is read or predicted. The regional run plans its blocks
and submits them to a worker of this process, where a block does nothing: its time is
that of client, scheduler and worker together. Times are of the processor, all threads.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import dask
import numpy as np
import pipeline
import rasterio
import rioxarray
from affine import Affine
from arms import in_turn, options, print_table, reported, spread

import areca
from areca.models.handle import load_model
from areca.runs import RunFolder, schedule
from areca.runs.ledger import BlockDone, Ledger
from areca.runtime import open_client


def draw_empty(path: Path, tiles: int) -> None:
    """Write a scene of tiles x tiles cores in which no pixel was ever written."""
    edge = tiles * pipeline.CORE
    profile = {
        "driver": "GTiff", "count": 3, "height": edge, "width": edge, "dtype": "uint8",
        "crs": "EPSG:32648", "tiled": True, "blockxsize": 512, "blockysize": 512,
        "sparse_ok": True, "bigtiff": "yes", "interleave": "pixel",
        "photometric": "rgb", "transform": Affine(0.2, 0, 0, 0, -0.2, 0),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile):
        pass


def warm_up(folder: Path) -> None:
    """Import and compile what the first graph of a process brings with it."""
    scene = folder / "warm.tif"
    _areca(scene, folder)
    _overlap(scene)


def _areca(scene: Path, folder: Path) -> int:
    model = load_model(folder / "model")
    cube = areca.open_cube(areca.search(scene), bands=list(model.card.bands))
    found = areca.predict(cube, model)
    return len(dict(found.objects.optimize().__dask_graph__()))


def _overlap(scene: Path) -> int:
    core, halo = pipeline.CORE, pipeline.HALO
    chunks = {"band": -1, "y": core, "x": core}
    with rioxarray.open_rasterio(scene, chunks=chunks) as cube:
        found = cube.data.map_overlap(
            _nothing, depth={1: halo, 2: halo}, boundary="reflect",
            meta=np.empty((0, 0, 0), np.uint8),
        )  # fmt: skip
        return len(dict(dask.optimize(found)[0].__dask_graph__()))


def _nothing(block: np.ndarray) -> np.ndarray:
    return block


def lazy_areca(folder: Path, tiles: int) -> tuple[float, int]:
    """Return seconds and tasks of the graph of `areca.predict`, from search on."""
    warm_up(folder)
    start = time.process_time()
    tasks = _areca(folder / f"{tiles}.tif", folder)
    return time.process_time() - start, tasks


def map_overlap(folder: Path, tiles: int) -> tuple[float, int]:
    """Return seconds and tasks of the graph of `map_overlap`, from open on."""
    warm_up(folder)
    start = time.process_time()
    tasks = _overlap(folder / f"{tiles}.tif")
    return time.process_time() - start, tasks


def regional_run(folder: Path, tiles: int) -> tuple[float, float, int]:
    """Return seconds of the plan, of all empty blocks, and the number of blocks."""
    schedule.run_block = _no_block
    model = load_model(folder / "model")
    with open_client("threads") as client, tempfile.TemporaryDirectory() as run:
        for name in ("warm", tiles):
            start = time.process_time()
            request = pipeline.request_of(folder / f"{name}.tif", model, block_tiles=8)
            plan, key = request.plan, request.digest
            planned = time.process_time() - start
            ledger = Ledger(folder=RunFolder(Path(run)), key=key)
            start = time.process_time()
            done, _ = schedule.run_blocks(client, plan, ledger, lambda *_, **__: None)
            submitted = time.process_time() - start
    return planned, submitted, len(done)


def _no_block(task: schedule.BlockTask) -> BlockDone:
    return BlockDone(name=task.block.name, key=task.ledger.key)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--tiles", type=int, nargs="+", default=[100, 316],
                        help="along each side")  # fmt: skip
    given = parser.parse_args()
    arms = (lazy_areca, map_overlap, regional_run)
    rows, blocks = [], []
    with tempfile.TemporaryDirectory() as name, reported("Graphs"):
        folder = Path(name)
        pipeline.small_model(folder / "model")
        for size in {*given.tiles, 8}:
            draw_empty(folder / ("warm.tif" if size == 8 else f"{size}.tif"), size)
        for size in given.tiles:
            seen = in_turn({a.__name__: (a, folder, size) for a in arms}, given.rounds)
            ours, theirs, runs = (seen[a.__name__] for a in arms)
            count = size * size
            us = [[1e6 * s / count for s, _ in arm] for arm in (ours, theirs)]
            ratio = [b / a for a, b in zip(*us, strict=True)]
            number = runs[0][2]
            rows.append((f"{count:,}", spread(us[0], ".0f"), spread(us[1], ".0f"),
                         spread(ratio, ".1f"), f"{ours[0][1]:,}", f"{theirs[0][1]:,}",
                         f"{1e-3 * statistics.median(us[0]) * count / number:.1f}",
                         ))  # fmt: skip
            blocks.append((f"{number:,}", f"{count:,}",
                           spread((1e3 * p / number for p, _, _ in runs), ".2f"),
                           spread((1e3 * s / number for _, s, _ in runs), ".2f"),
                           ))  # fmt: skip
        print_table(
            ("tiles", "areca.predict, us/tile", "map_overlap, us/tile", "ratio",
             "areca tasks", "map_overlap tasks", "areca, ms/block"), rows,
        )  # fmt: skip
        print_table(
            ("blocks", "tiles", "plan, ms/block", "submit to report, ms/block"), blocks
        )


if __name__ == "__main__":
    main()
