"""The arms of `peers.py` that need areca, torch and rasterio alone.

Each runs in a process of its own and returns seconds. The clock starts when the
network is in memory and has run once (areca's, over two blocks), and when the
cluster or the file is open; it stops when the class raster is on disk, or each object
is settled. Imports, model files and the start of a cluster are so counted for none.
"""

from __future__ import annotations

import itertools
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import torch
import zarr
from peers_answers import THREADS, Answers, Done
from peers_ground import BLOCK_TILES, PIXEL, Case, batches
from rasterio.windows import Window

import areca
from areca.catalog import normalise_items
from areca.features import standardize
from areca.inference.session import torch_threads
from areca.models.adapter import load_network
from areca.models.weights import load_weights
from areca.runs import RunRequest, run_census
from areca.runs import run as run_module
from areca.runtime import open_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    import pandas as pd

    from areca.models.adapter import LoadedModel, Raw
    from areca.runs import Progress, RunPlan


def ready(case: Case) -> LoadedModel:
    """Return areca's loaded network, once run."""
    torch.set_num_threads(THREADS)
    network = load_network(case.model)
    network.forward(batches(case, case.batch)[0])
    return network


def forward_plain(case: Case, _out: Path) -> Done:
    """Run the network as torch gives it: float32, contiguous, `inference_mode`."""
    torch.set_num_threads(THREADS)
    network = load_weights(case.model)
    tiles = [torch.from_numpy(batch) for batch in batches(case, case.batch, None)]
    boxes = case.card.contract == "boxes"
    with torch.inference_mode():
        network(list(tiles[0]) if boxes else tiles[0])
        start = time.perf_counter()
        for batch in tiles:
            network(list(batch) if boxes else batch)
        return Done(time.perf_counter() - start)


def forward_areca(case: Case, _out: Path) -> Done:
    """Run areca's loaded network over the same batches."""
    network = ready(case)
    tiles = batches(case, case.batch, None)
    start = time.perf_counter()
    for batch in tiles:
        network.forward(batch)
    return Done(time.perf_counter() - start)


def _half(case: Case, number: int, gate: Barrier, times: Queue) -> None:
    torch.set_num_threads(1)
    network = load_network(case.model)
    tiles = batches(case, case.batch, None)[number::THREADS]
    network.forward(tiles[0])
    gate.wait()
    start = time.time()
    for batch in tiles:
        network.forward(batch)
    times.put((start, time.time()))


def forward_processes(case: Case, _out: Path) -> Done:
    """Run it in two processes of one thread, half of the batches each."""
    spawn = multiprocessing.get_context("spawn")
    gate, times = spawn.Barrier(THREADS), spawn.Queue()
    parts = [
        spawn.Process(target=_half, args=(case, n, gate, times)) for n in range(THREADS)
    ]
    for part in parts:
        part.start()
    starts, ends = zip(*[times.get() for _ in parts], strict=True)
    for part in parts:
        part.join()
    return Done(max(ends) - min(starts))


def decode(case: Case, _out: Path) -> Done:
    """Read the tiles from the file, two threads, each its own rows of tiles."""
    size = case.card.tile_px
    half = -(-len(case.corners) // THREADS)
    files = [rasterio.open(case.scene) for _ in range(THREADS)]

    def read(number: int) -> int:
        part = case.corners[number * half : (number + 1) * half]
        return sum(
            files[number].read(window=Window(col, row, size, size)).shape[0] > 0
            for row, col in part
        )

    with ThreadPoolExecutor(THREADS) as pool:
        start = time.perf_counter()
        read_tiles = sum(pool.map(read, range(THREADS)))
        seconds = time.perf_counter() - start
    for file in files:
        file.close()
    return Done(seconds, notes={"tiles": read_tiles})


def run_areca(case: Case, out: Path, cluster: str, threads: int) -> Done:
    """Run a region through areca: from the first block's start to the same answer.

    That is the end of the last block for a class raster, and for objects the moment
    when those at seams are settled too. What follows, which no peer makes, is told
    apart: the table of objects measured in metres, report, manifest; of classes also
    polygons.
    """
    options = areca.PredictOptions(
        batch_size=case.batch, block_tiles=BLOCK_TILES, torch_threads=threads
    )
    found = normalise_items(areca.search(case.scene), catalog_href=case.scene)
    request = RunRequest(
        recipe="peers",
        title="Peers",
        command="",
        scenes=tuple(found),
        model=case.model,
        options=options,
        aoi=case.aoi(),
    )
    with open_client(cluster) as client:
        client.run(torch_threads)
        # Two blocks first, one a worker: what they import is no part of the work.
        quiet: Progress = lambda *_, **__: None  # noqa: E731
        two = replace(request, aoi=case.aoi(across=2 * BLOCK_TILES, down=BLOCK_TILES))
        run_census(two, out / "first", client=client, progress=quiet)
        with settling() as settled:
            result = run_census(request, out / "run", client=client, progress=quiet)
        ended = time.time()
    # Regions that cross the edge of the area bring further blocks afterwards.
    asked = {block.name for block in request.plan.blocks}
    blocks = [block for block in result.blocks if block.name in asked]
    failed = [block.error for block in blocks if block.error]
    tiles = sum(block.tiles for block in blocks)
    if failed or tiles != len(case.corners):
        raise SystemExit(
            f"areca predicted {tiles} of {len(case.corners)} tiles: {failed[:1]}"
        )
    first, last = min(b.started for b in blocks), max(b.ended for b in blocks)
    notes = {}
    if case.card.contract != "logits":
        last = settled[-1]
        table = max(file.stat().st_mtime for file in result.files)
        notes["measured_s"] = table - last
    notes |= {
        "after_s": ended - last,
        "read_s": sum(b.read_s for b in blocks),
        "forward_s": sum(b.forward_s for b in blocks),
        "processes": len({b.worker for b in blocks}),
    }
    return Done(last - first, **_answers(case, out / "run"), notes=notes)


@contextmanager
def settling() -> Iterator[list[float]]:
    """Yield a list that will hold when the objects at seams were settled."""
    ended: list[float] = []

    def settle(seams: pd.DataFrame, plan: RunPlan) -> pd.DataFrame:
        rows = own(seams, plan)
        ended.append(time.time())
        return rows

    own, run_module.settle = run_module.settle, settle
    try:
        yield ended
    finally:
        run_module.settle = own


def _answers(case: Case, run: Path) -> dict[str, np.ndarray]:
    halo = case.card.halo_px
    row, col = (value - halo for value in case.origin)
    if case.card.contract == "logits":
        group = zarr.open_group(run / "rasters.zarr", mode="r")
        left = round((group["x"][0] / PIXEL) - 0.5) - col
        top = round((-group["y"][0] / PIXEL) - 0.5) - row
        labels = np.full(case.shape, 255, np.uint8)
        part = group["label"][:][max(0, -top) :, max(0, -left) :]
        top, left = max(0, top), max(0, left)
        part = part[: case.shape[0] - top, : case.shape[1] - left]
        labels[top : top + part.shape[0], left : left + part.shape[1]] = part
        return {"labels": labels}
    bounds = areca.read_objects(run / "objects").geometry.bounds.to_numpy()
    west, south, east, north = bounds.T / PIXEL
    return {
        "boxes": np.column_stack([west - col, -north - row, east - col, -south - row])
    }


def window_loop(case: Case, out: Path, *, plain: bool = False) -> Done:
    """Read window by window with rasterio, predict a batch at a time, as scripts do."""
    network = ready(case)
    run: Callable[[np.ndarray], Raw] = network.forward
    if plain:
        bare = load_weights(case.model)
        run = lambda batch: {"logits": bare(torch.from_numpy(batch)).numpy()}  # noqa: E731
    card, answers = case.card, Answers(case, network)
    with torch.inference_mode():
        run(batches(case, case.batch)[0])
        start = time.perf_counter()
        with rasterio.open(case.scene) as file:
            for corners in itertools.batched(case.corners, case.batch):
                tiles = [
                    standardize(
                        file.read(
                            window=Window(col, row, card.tile_px, card.tile_px)
                        ).astype(np.float32),
                        card.mean,
                        card.std,
                    )
                    for row, col in corners
                ]
                answers.take(run(np.stack(tiles)), corners)
        found = answers.settle(out)
    return Done(time.perf_counter() - start, **found)


ARMS: dict[str, Callable[[Case, Path], Done]] = {
    "forward, plain torch": forward_plain,
    "forward, areca's network": forward_areca,
    "forward, areca's network, 2 processes": forward_processes,
    "decode": decode,
    "areca, 2 processes": lambda case, out: run_areca(case, out, "local", 1),
    "areca, 1 process": lambda case, out: run_areca(case, out, "threads", THREADS),
    "window loop": window_loop,
    "window loop, plain torch": lambda case, out: window_loop(case, out, plain=True),
}
