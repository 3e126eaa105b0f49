"""The batch size "auto" of a run: measured once, then a number like any other.

Another batch may change last bits, so every block of a run, on whatever machine and in
whichever call, has one. The number stands in `run.json` and in the digest of the
request. What was measured stands beside it in `batch.json`, which nothing depends on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from areca.errors import RunError
from areca.runs.devices import sharers_of
from areca.runs.folder import write_json
from areca.runs.schedule import gather, submit_to

if TYPE_CHECKING:
    from distributed import Client

    from areca.inference import Predictor
    from areca.runs.folder import RunFolder
    from areca.runs.request import RunRequest


def with_kept_batch(request: RunRequest, folder: RunFolder) -> RunRequest:
    """Return a request with the batch size of the run that its folder holds.

    Args:
        request: What is asked; only one that asks for "auto" is changed.
        folder: The run folder; may hold nothing yet.
    """
    if request.options.batch_size != "auto":
        return request
    try:
        before = json.loads(folder.request.read_text(encoding="utf-8"))
        kept = int(before["options"]["batch_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return request  # nothing there, or nothing of ours: it is told elsewhere
    return _with_batch(request, kept)


def with_measured_batch(
    request: RunRequest, client: Client
) -> tuple[RunRequest, dict[str, Any] | None]:
    """Measure the batch size on all workers at once; return the request with it.

    All at once, as they will work: they may share a device, and do share the memory
    and the processors of a machine. The smallest answer holds for all.

    Args:
        request: What is asked; only one that asks for "auto" is changed.
        client: Where to run.

    Returns:
        The request with a number, and what `write_batch` takes; None where nothing
        was measured.

    Raises:
        RunError: There are no workers, or some were lost.
    """
    if request.options.batch_size != "auto":
        return request, None
    predictor = request.plan.predictor
    sharers = sharers_of(client, predictor.options.device)
    if not sharers:
        raise RunError(
            "the scheduler has no workers, so no batch size can be measured; start "
            "some, or give batch_size a number"
        )
    asked = {
        worker: submit_to(client, worker, measure, predictor, count)
        for worker, count in sharers.items()
    }
    found = gather(client, list(asked.values()), "the batch size was measured")
    least = min(found, key=lambda one: int(one["batch_size"]))
    size, reason = int(least["batch_size"]), str(least["reason"])
    told = {
        "batch_size": size,
        "reason": reason,
        "workers": dict(zip(asked, found, strict=True)),
    }
    return _with_batch(request, size), told


def write_batch(folder: RunFolder, told: dict[str, Any]) -> None:
    """Write down what was measured.

    Args:
        folder: The run folder.
        told: What `with_measured_batch` returned.
    """
    write_json(folder.batch, told)


def read_batch(folder: RunFolder) -> dict[str, Any] | None:
    """Return what was measured; None where the batch size was given.

    Args:
        folder: The run folder.
    """
    try:
        found: dict[str, Any] = json.loads(folder.batch.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def batch_words(told: dict[str, Any] | None, size: int) -> str:
    """Return the batch size of a run in words, with why where it was measured.

    Args:
        told: What `read_batch` returned.
        size: The batch size.
    """
    return f"{size}" if told is None else f"{size} (measured: {told['reason']})"


def measure(predictor: Predictor, sharers: int) -> dict[str, Any]:
    """Measure the batch size in this process.

    Args:
        predictor: The model and how to run it.
        sharers: Processes that use its device.

    Returns:
        `areca.inference.batch.MeasuredBatch` as plain data.
    """
    # Here, because it brings torch, which only the workers need.
    from areca.inference.batch import measure_batch  # noqa: PLC0415

    return asdict(measure_batch(predictor, sharers=sharers))


def _with_batch(request: RunRequest, size: int) -> RunRequest:
    return replace(request, options=replace(request.options, batch_size=size))
