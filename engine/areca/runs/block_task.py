"""The task of one block: read, features, predict, write, mark done."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from areca.catalog import read_mosaic
from areca.errors import ArecaError
from areca.inference import Predictor, predict_block
from areca.runs.folder import RunFolder, file_sha256, write_atomically, write_json
from areca.runs.quicklook import paint, quicklook
from areca.runtime import peak_memory_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from areca.catalog import Scene
    from areca.tiles import Block, Tile, Window


@dataclass(frozen=True, kw_only=True)
class BlockTask:
    """All that a worker needs for one block; a few kB."""

    block: Block
    tiles: tuple[Tile, ...]
    """The tiles to predict, in order."""
    scenes: tuple[Scene, ...]
    """The scenes that the padded block touches, in mosaic order."""
    bands: tuple[str, ...]
    """Bands to read."""
    predictor: Predictor
    folder: RunFolder
    key: str
    """Digest of the run's request: a result of another request is not taken over."""
    look_step: int
    """Of how many pixels the quick-look keeps one, in each direction."""


@dataclass(frozen=True, kw_only=True)
class BlockDone:
    """What a block task reports: about 1 kB, also kept as `done.json`."""

    name: str
    key: str
    error: str | None = None
    """Why there is a hole; None when all went well."""
    tiles: int = 0
    settled: int = 0
    """Survivors that no other block can touch."""
    open: int = 0
    """Candidates at the seams, to be settled together."""
    oversize: int = 0
    """Candidates larger than the model's largest object; listed, not counted."""
    candidates_sha256: str = ""
    read_s: float = 0.0
    forward_s: float = 0.0
    started: float = 0.0
    """Clock when the task began, seconds since 1970."""
    ended: float = 0.0
    worker: str = ""
    """Process that did the work."""
    peak_memory_bytes: int = 0
    """Largest resident memory of that process so far."""


def run_block(task: BlockTask) -> BlockDone:
    """Return how a block went; a fault in the data is reported, not raised."""
    started = time.time()
    try:
        done = replace(_do_block(task), started=started, ended=time.time())
    except ArecaError as error:
        return BlockDone(
            name=task.block.name, key=task.key, error=str(error), worker=_worker()
        )
    write_json(task.folder.block(task.block) / "done.json", asdict(done))
    return done


def find_done(task: BlockTask) -> BlockDone | None:
    """Return what an earlier run left of a block, None when it must be done."""
    folder = task.folder.block(task.block)
    try:
        done = BlockDone(**json.loads((folder / "done.json").read_text()))
    except (OSError, ValueError, TypeError):
        # No marker, or one that a fault of the disk has cut: the block is not done.
        return None
    whole = done.key == task.key and (folder / "candidates.parquet").is_file()
    return done if whole else None


def _do_block(task: BlockTask) -> BlockDone:
    start = time.perf_counter()
    predictor = task.predictor
    window = task.block.window
    padded = window.grow(predictor.halo_px)
    geobox = predictor.lattice.geobox(padded)
    pixels, source = read_mosaic(task.scenes, task.bands, geobox)
    read_s = time.perf_counter() - start
    cube = xr.DataArray(
        pixels, dims=("band", "y", "x"), coords={"band": list(task.bands)}
    )
    found = predict_block(cube, window, task.tiles, predictor)
    folder = task.folder.block(task.block)
    look = quicklook(pixels, padded, window, task.look_step)
    picture = paint(look, predictor.model.card)
    write_atomically(folder / "quicklook.png", lambda p: picture.save(p, format="png"))
    candidates = _with_items(found.candidates, source, padded, task)
    _write_table(folder / "candidates.parquet", candidates)
    if len(found.oversize):
        _write_table(folder / "oversize.parquet", found.oversize)
    opened = int(found.candidates["open"].sum())
    return BlockDone(
        name=task.block.name,
        key=task.key,
        tiles=found.tiles,
        settled=len(found.candidates) - opened,
        open=opened,
        oversize=len(found.oversize),
        candidates_sha256=file_sha256(folder / "candidates.parquet"),
        read_s=read_s,
        forward_s=found.forward_s,
        worker=_worker(),
        peak_memory_bytes=peak_memory_bytes(),
    )


def _with_items(
    candidates: pd.DataFrame, source: NDArray[np.int32], padded: Window, task: BlockTask
) -> pd.DataFrame:
    """Return candidates with the id of the item that gave the pixel at their centre."""
    row = np.floor(candidates["y"].to_numpy()).astype(np.int64) - padded.row0
    col = np.floor(candidates["x"].to_numpy()).astype(np.int64) - padded.col0
    names = np.array([*(scene.id for scene in task.scenes), None], dtype=object)
    return candidates.assign(item_id=pd.array(names[source[row, col]], dtype="string"))


def _write_table(path: Path, table: pd.DataFrame) -> None:
    def write(partial: Path) -> None:
        table.to_parquet(partial, index=False, compression="zstd")

    write_atomically(path, write)


def _worker() -> str:
    return f"process {os.getpid()}"


def workers_of(done: Sequence[BlockDone]) -> dict[str, dict[str, Any]]:
    """Return blocks, seconds and memory of each worker.

    Args:
        done: The reports of blocks.

    Returns:
        By worker: `blocks`, `busy_s` (seconds with at least one block), `read_s`,
        `forward_s` (sums over its blocks), `peak_memory_bytes`.
    """
    workers: dict[str, list[BlockDone]] = {}
    for block in done:
        if block.error is None:
            workers.setdefault(block.worker, []).append(block)
    return {
        name: {
            "blocks": len(blocks),
            "busy_s": round(_covered([(b.started, b.ended) for b in blocks]), 3),
            "read_s": round(sum(b.read_s for b in blocks), 3),
            "forward_s": round(sum(b.forward_s for b in blocks), 3),
            "peak_memory_bytes": max(b.peak_memory_bytes for b in blocks),
        }
        for name, blocks in sorted(workers.items())
    }


def _covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of time spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
