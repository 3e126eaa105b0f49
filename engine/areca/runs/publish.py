"""Candidates of blocks to the published table: seams settled, objects measured."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.compute as pc
from pyarrow import parquet

from areca.catalog import close_idle
from areca.inference import finish_rows, settle_rows
from areca.measures import measure, write_objects
from areca.objects import objects_table
from areca.runs.schedule import gather
from areca.runs.seam_tally import SeamTally
from areca.runs.seams import tally_centres
from areca.runtime import release_unused_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from distributed import Client

    from areca.inference import Area, Predictor
    from areca.objects import Origin
    from areca.runs.folder import RunFolder
    from areca.runs.ledger import BlockDone
    from areca.runs.plan import RunPlan
    from areca.tiles import Block, BlockGrid

ROWS_PER_FILE = 20_000
"""Blocks share a file until it would have more rows than this; a block is never cut.

Measuring and writing takes about 3 kB a row: files of 100,000 rows, written two at a
time, needed more memory than the blocks."""
_ONE_AT_A_TIME = threading.Lock()
"""A process writes one file at a time: its threads would need the memory twice, and
gain little, as pandas holds the interpreter most of the time."""
WAVE = 64
"""Files that are written at a time."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One published file: neighbouring blocks, and the survivors at their seams."""

    number: int
    blocks: tuple[Block, ...]
    seams: pd.DataFrame
    """Settled candidates of these blocks that lay at a seam."""
    folder: RunFolder
    predictor: Predictor
    origin: Origin
    area: Area | None
    grid: BlockGrid

    @property
    def path(self) -> Path:
        """The file, in the folder that becomes `objects/` when all are written."""
        return self.folder.staging / f"part-{self.number:05d}.parquet"


def finished(plan: RunPlan, done: Sequence[BlockDone]) -> list[Block]:
    """Return the blocks of a plan that are no holes, in order."""
    good = {report.name for report in done if report.error is None}
    return [block for block in plan.blocks if block.name in good]


def read_seams(folder: RunFolder, blocks: Sequence[Block]) -> pd.DataFrame:
    """Return the open candidates of blocks, which lie along their borders.

    Args:
        folder: The run.
        blocks: Blocks that are done.

    Returns:
        Candidate rows with a column `block`. Their number grows with the length of
        all borders between blocks, so larger blocks mean fewer of them.
    """
    tables = []
    for block in blocks:
        rows = _rows(folder.block(block) / "candidates.parquet", is_open=True)
        tables.append(rows.assign(block=block.name))
    return pd.concat(tables, ignore_index=True)


def publish(
    client: Client,
    folder: RunFolder,
    plan: RunPlan,
    done: Sequence[BlockDone],
    seams: pd.DataFrame,
) -> tuple[list[Path], list[SeamTally]]:
    """Write the published objects, file by file on the workers.

    Args:
        client: Where to run.
        folder: The run.
        plan: Its plan.
        done: The reports of the blocks; those with an error have no objects.
        seams: Settled candidates at seams, of all blocks.

    Returns:
        The files, in order, and the tally of each for the seam audit. Which rows go
        where depends on the request alone.
    """
    blocks = finished(plan, done)
    counts = {report.name: report.settled for report in done}
    at_seams = seams["block"].value_counts().to_dict()
    sizes = [counts[b.name] + at_seams.get(b.name, 0) for b in blocks]
    parts = [
        Part(
            number=number,
            blocks=group,
            seams=seams[seams["block"].isin([b.name for b in group])],
            folder=folder,
            predictor=plan.predictor,
            origin=plan.origin,
            area=plan.area,
            grid=plan.grid,
        )
        for number, group in enumerate(_groups(blocks, sizes))
    ]
    # What an earlier, killed publication left is no part of this one.
    shutil.rmtree(folder.staging, ignore_errors=True)
    tallies: list[SeamTally] = []
    for start in range(0, len(parts), WAVE):
        wave = parts[start : start + WAVE]
        written = [client.submit(write_part, p, pure=False) for p in wave]
        tallies += gather(client, written, "the table was written")
    shutil.rmtree(folder.objects, ignore_errors=True)
    folder.staging.rename(folder.objects)
    return [folder.objects / part.path.name for part in parts], tallies


def write_part(part: Part) -> SeamTally:
    """Write one published file.

    Args:
        part: Which blocks, and what survived at their seams.

    Returns:
        The tally of its objects for the seam audit.
    """
    with _ONE_AT_A_TIME:
        close_idle()
        release_unused_memory()  # what blocks, and files before this one, have left
        return _write_part(part)


def _write_part(part: Part) -> SeamTally:
    tables = [part.seams.drop(columns="block")]
    for block in part.blocks:
        path = part.folder.block(block) / "candidates.parquet"
        tables.append(_rows(path, is_open=False))
    rows = finish_rows(pd.concat(tables, ignore_index=True), part.predictor)
    if part.area is not None:
        rows = part.area.select(rows)
    objects = measure(objects_table(rows, part.origin))
    write_objects(objects, part.path)
    if part.predictor.is_dense:  # its seams would show in the class raster
        return SeamTally.empty(part.grid)
    return tally_centres(objects, part.blocks, part.grid)


def _rows(path: Path, *, is_open: bool) -> pd.DataFrame:
    """Return the rows of one block that reach a seam, or those that do not.

    Without pandas' reader: it opens a data set, twice the time of so small a file.
    """
    with path.open("rb") as file:
        table = parquet.ParquetFile(file).read(use_threads=False)
    chosen: pd.DataFrame = table.filter(pc.equal(table["open"], is_open)).to_pandas()
    return chosen


def settle(seams: pd.DataFrame, plan: RunPlan) -> pd.DataFrame:
    """Return the survivors of the open candidates of all blocks.

    Args:
        seams: What `read_seams` returned.
        plan: The plan of the run.
    """
    return settle_rows([seams], plan.predictor)


def _groups(
    blocks: Sequence[Block], sizes: Sequence[int]
) -> Iterator[tuple[Block, ...]]:
    group: list[Block] = []
    rows = 0
    for block, size in zip(blocks, sizes, strict=True):
        if group and rows + size > ROWS_PER_FILE:
            yield tuple(group)
            group, rows = [], 0
        group.append(block)
        rows += size
    yield tuple(group)
