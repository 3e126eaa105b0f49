"""A regional run: blocks, seams, objects, report, manifest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from areca.catalog import close_idle
from areca.errors import RunError
from areca.measures import read_objects
from areca.runs.batch import with_kept_batch, with_measured_batch, write_batch
from areca.runs.chains import blocks_to_add
from areca.runs.devices import divide_memory
from areca.runs.folder import RunFolder, write_atomically, write_text
from areca.runs.holes import write_holes, write_oversize
from areca.runs.ledger import Ledger
from areca.runs.manifest import check_software, find_result, write_manifest
from areca.runs.present import present
from areca.runs.publish import finished, publish, read_seams, settle
from areca.runs.raster_store import RasterStore
from areca.runs.result import RunResult
from areca.runs.schedule import gather, run_blocks, submit_to
from areca.runs.seams import audit_seams
from areca.runs.summary import summarise

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from distributed import Client

    from areca.inference import Predictor
    from areca.runs.ledger import BlockDone
    from areca.runs.plan import RunPlan
    from areca.runs.request import RunRequest
    from areca.runs.schedule import Progress


def run_census(
    request: RunRequest, out: Path, *, client: Client, progress: Progress
) -> RunResult:
    """Count and measure the objects of a region.

    Args:
        request: What to do.
        out: The run folder. One that holds a part of the same run is resumed; one that
            holds anything else is refused with `InputError`.
        client: Where to run.
        progress: Told of every block that ends.

    Returns:
        How it ended. A block that failed twice is a hole, listed in `holes.geojson`;
        the objects outside the holes are those of a run without faults. A run that is
        whole already is left as it is.
    """
    start, folder = time.perf_counter(), RunFolder(out.resolve())
    request.model.verify()
    request = with_kept_batch(request, folder)
    folder.check(request.to_dict())
    before = find_result(folder, request)
    if before is not None:
        return before
    check_software(client)
    request, told = with_measured_batch(request, client)
    _check_networks(client, request.plan.predictor)
    # From here on the folder is for this request alone. What is refused before leaves
    # nothing, so that the same folder takes the request once it is mended.
    folder.claim(request.to_dict())
    if told is not None:
        write_batch(folder, told)
    ledger = Ledger(folder=folder, key=request.digest)
    folder.manifest.unlink(missing_ok=True)
    store = RasterStore.of(folder.rasters, request.plan.grid)
    if request.plan.predictor.rasters:
        store.create(request.plan.grid, request.plan.predictor)
    plan, blocks, resumed, seams = _all_blocks(client, request.plan, ledger, progress)
    _check_precision(blocks)
    good = finished(plan, blocks)
    seams = settle(seams, plan)
    files, tallies = publish(client, folder, plan, blocks, seams)
    write_holes(folder, plan, blocks)
    result = RunResult(
        folder=folder,
        summary=summarise(map(read_objects, files)),
        blocks=tuple(blocks),
        files=tuple(files),
        oversize=write_oversize(folder, plan, blocks),
        seams=audit_seams(client, plan, good, tallies, store).to_dict(),
        resumed=resumed,
        wall_s=time.perf_counter() - start,
    )
    page = present(result, plan, request)
    write_atomically(folder.report, lambda p: write_text(p, page))
    write_manifest(result, request)
    return result


def _check_precision(blocks: list[BlockDone]) -> None:
    """Refuse blocks of two precisions, of workers of two kinds: seams might not meet.

    Raises:
        RunError: There are two.
    """
    found = {block.precision: block.worker for block in blocks if block.error is None}
    if len(found) > 1:
        told = ", ".join(f"{kind} at {worker}" for kind, worker in found.items())
        raise RunError(
            f"blocks were computed in different numbers ({told}), because not all "
            "workers have bf16; run in a new folder, with workers of one kind or with "
            "the card's precision float32"
        )


def _check_networks(client: Client, predictor: Predictor) -> None:
    """Let every worker load the model and run it once, before any block.

    On all of them at once, as each would load it with its first block anyway. Files
    that an earlier run left open are closed first: they may have been replaced.
    """
    client.run(close_idle, on_error="ignore")
    divide_memory(client, predictor.options.device)
    checks = [
        submit_to(client, worker, check_network, predictor)
        for worker in client.nthreads()
    ]
    gather(client, checks, "the model was loaded")


def check_network(predictor: Predictor) -> None:
    """Load a model in this process and run it once.

    Args:
        predictor: The model and how to run it.
    """
    # Here, because it brings torch, which only the workers need.
    from areca.inference.session import check_model  # noqa: PLC0415

    check_model(predictor.model, predictor.options)


def _all_blocks(
    client: Client, plan: RunPlan, ledger: Ledger, progress: Progress
) -> tuple[RunPlan, list[BlockDone], int, pd.DataFrame]:
    """Return the plan, its reports, how many were done before, and the open rows.

    Blocks that chains of rivals lead to are run as well, until none is left.

    Raises:
        RunError: Every block failed.
    """
    blocks, resumed = run_blocks(client, plan, ledger, progress)
    if all(block.error for block in blocks):
        raise RunError(
            f"all {len(blocks)} blocks failed; the first: {blocks[0].error}. Once the "
            "cause is gone, run the same command to resume"
        )
    seams = read_seams(ledger.folder, finished(plan, blocks))
    while plan.area is not None and (more := blocks_to_add(plan, seams)):
        added, _ = run_blocks(client, plan.only(more), ledger, progress)
        plan, blocks = plan.with_blocks(more), [*blocks, *added]
        seams = read_seams(ledger.folder, finished(plan, blocks))
    return plan, blocks, resumed, seams
