"""The task of one block: read, features, predict, write, mark done."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

import numpy as np

from areca.catalog import redact
from areca.errors import ArecaError, DeviceLostError
from areca.inference import Area, Predictor, block_rows, predict_block
from areca.runs.folder import file_sha256, write_atomically
from areca.runs.ledger import BlockDone
from areca.runs.quicklook import paint, quicklook
from areca.runtime import peak_memory_bytes
from areca.tiles import block_array

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from areca.catalog import Imagery
    from areca.runs.ledger import Ledger
    from areca.runs.raster_store import RasterStore
    from areca.tiles import Block, Tile, Window

DEVICE_LOST = 75
"""Exit code of a worker process that gives up its device (EX_TEMPFAIL)."""


@dataclass(frozen=True, kw_only=True)
class BlockTask:
    """All that a worker needs for one block; a few kB."""

    block: Block
    tiles: tuple[Tile, ...]
    """The tiles to predict, in order."""
    imagery: Imagery
    """What the padded block touches."""
    images: tuple[int, ...]
    """The position of each of its acquisitions among those of the run."""
    predictor: Predictor
    ledger: Ledger
    """Where the block is marked when it is done."""
    store: RasterStore
    """Where its rasters go."""
    area: Area | None
    """The area of interest; it decides which ground counts as searched."""
    look_step: int
    """Of how many pixels the quick-look keeps one, in each direction."""


def run_block(task: BlockTask) -> BlockDone:
    """Return how a block went; a fault in the data is reported, not raised.

    Args:
        task: The block.

    Raises:
        DeviceLostError: The device of this process is lost, and the process is that of
            the caller too; a worker process ends itself instead.
    """
    started = time.time()
    try:
        done = replace(_do_block(task), started=started, ended=time.time())
    except DeviceLostError:
        if parent_process() is None:
            raise
        # Every later block of this process would fail. The nanny starts another one,
        # and the scheduler gives the block to whoever is free.
        os._exit(DEVICE_LOST)
    except ArecaError as error:
        return BlockDone(
            name=task.block.name,
            key=task.ledger.key,
            error=redact(str(error)),
            worker=_worker(),
        )
    task.ledger.mark(task.block, done)
    return done


def _do_block(task: BlockTask) -> BlockDone:
    start = time.perf_counter()
    predictor = task.predictor
    window = task.block.window
    padded = window.grow(predictor.halo_px)
    mosaic = task.imagery.read(padded)
    read_s = time.perf_counter() - start
    source = mosaic.source
    cube = block_array(mosaic.pixels, task.imagery.bands, mosaic.valid)
    found = predict_block(cube, window, task.tiles, predictor)
    folder = task.ledger.folder.block(task.block)
    look = quicklook(cube, padded, window, task.look_step)
    if look.size:  # over a very wide region a block may fall between two pixels
        picture = paint(look, predictor.model.card)
        write_atomically(
            task.ledger.folder.quicklook(task.block),
            # Read once more, for the report, and all of a run together have the pixels
            # of one picture: packing them (PNG, 20 ms a block) would cost more than it
            # saves.
            lambda p: picture.save(p, format="bmp"),
        )
    rows = _with_images(block_rows(found, window, predictor), source, padded, task)
    _write_table(folder / "candidates.parquet", rows)
    if len(found.oversize):  # `done.json` tells how many there are
        _write_table(folder / "oversize.parquet", found.oversize)
    wanted = {name: found.rasters[name] for name in predictor.rasters}
    opened = int(rows["open"].sum())
    is_dense = predictor.is_dense
    class_px = _class_px(wanted["label"], task) if is_dense else {}
    seen_px = sum(class_px.values()) if is_dense else _seen_px(source, padded, task)
    return BlockDone(
        name=task.block.name,
        key=task.ledger.key,
        tiles=found.tiles,
        settled=len(rows) - opened,
        open=opened,
        oversize=len(found.oversize),
        seen_px=seen_px,
        class_px=class_px,
        candidates_sha256=file_sha256(folder / "candidates.parquet"),
        rasters_sha256=task.store.write(task.block, wanted) if wanted else "",
        precision=found.precision,
        degraded=found.degraded,
        read_s=read_s,
        forward_s=found.forward_s,
        worker=_worker(),
        peak_memory_bytes=peak_memory_bytes(),
    )


def _with_images(
    candidates: pd.DataFrame, source: NDArray[np.int32], padded: Window, task: BlockTask
) -> pd.DataFrame:
    """Return candidates with the position of the scene that shows their centre."""
    row = np.floor(candidates["y"].to_numpy()).astype(np.int64) - padded.row0
    col = np.floor(candidates["x"].to_numpy()).astype(np.int64) - padded.col0
    positions = np.array([*task.images, -1], np.int32)
    return candidates.assign(image=positions[source[row, col]])


def _seen_px(source: NDArray[np.int32], padded: Window, task: BlockTask) -> int:
    """Return how many pixels of the block, and of the area, an image shows."""
    core = task.block.window
    whole = task.area is None or task.area.covers(core)
    if whole and source.strides == (0, 0):  # one scene shows it all
        return core.height * core.width
    seen = source[core.slices_in(padded)] >= 0
    if task.area is not None and not whole:
        seen &= task.area.mask(core)
    return int(seen.sum())


def _class_px(label: NDArray[Any], task: BlockTask) -> dict[str, int]:
    """Return how many pixels of the block, and of the area, have each class."""
    core = task.block.window
    if task.area is not None and not task.area.covers(core):
        label = label[task.area.mask(core)]
    names = task.predictor.model.card.labels
    # Class by class: bincount would copy the block to eight times its size.
    return {
        name: int(np.count_nonzero(label == value)) for value, name in enumerate(names)
    }


def _write_table(path: Path, table: pd.DataFrame) -> None:
    def write(partial: Path) -> None:
        table.to_parquet(partial, index=False, compression="zstd")

    write_atomically(path, write)


def _worker() -> str:
    return f"{platform.node()}, process {os.getpid()}"
