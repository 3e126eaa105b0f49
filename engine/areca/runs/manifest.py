"""`manifest.json`: what a run wrote, how it went; written last."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from areca.errors import InputError
from areca.measures import read_objects
from areca.runs.folder import file_sha256, write_json
from areca.runs.ledger import Ledger, workers_of
from areca.runs.result import RunResult
from areca.runs.summary import summarise

if TYPE_CHECKING:
    from distributed import Client

    from areca.runs.folder import RunFolder
    from areca.runs.request import RunRequest

SOFTWARE = (
    "areca", "dask", "distributed", "geopandas", "numpy", "odc-geo", "pyproj",
    "rasterio", "shapely", "torch", "xarray",
)  # fmt: skip


def write_manifest(result: RunResult, request: RunRequest) -> None:
    """Write the manifest; a run folder with one is complete.

    Args:
        result: How the run ended.
        request: What it was asked.
    """
    folder = result.folder
    files = [
        folder.request, *result.files, folder.holes, folder.oversize, folder.report,
    ]  # fmt: skip
    write_json(
        folder.manifest,
        {
            "state": result.state,
            "request_digest": request.digest,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "objects": result.summary.count,
            "blocks": len(result.blocks),
            "holes": [{"block": b.name, "error": b.error} for b in result.holes],
            "notes": [*request.notes, *request.plan.notes],
            "oversize_candidates": result.oversize,
            "batch": {
                "tiles": request.options.batch_size,
                "measured": result.measured_batch,
            },
            "degraded_blocks": [b.name for b in result.blocks if b.degraded],
            "checks": {"seams": dict(result.seams)},
            "files": {
                str(path.relative_to(folder.path)): file_sha256(path) for path in files
            },
            "class_pixels": result.class_px,
            "timing": timing(result),
            "software": software(),
            "precision": result.precision,
        },
    )


def find_result(folder: RunFolder, request: RunRequest) -> RunResult | None:
    """Return how a finished run of this request ended, None when there is none.

    Args:
        folder: The run.
        request: What is asked.

    Returns:
        The result, if the manifest says DONE and every file is the one it names.
    """
    try:
        manifest = json.loads(folder.manifest.read_text(encoding="utf-8"))
        files = {folder.path / name: sha for name, sha in manifest["files"].items()}
        whole = all(file_sha256(path) == sha for path, sha in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no manifest, or files that are not there: not finished
    ledger = Ledger(folder=folder, key=request.digest)
    reports = [ledger.find(block) for block in request.plan.blocks]
    blocks = tuple(report for report in reports if report is not None)
    same = manifest["request_digest"] == request.digest
    if not (
        whole and same and manifest["state"] == "DONE" and len(blocks) == len(reports)
    ):
        return None
    objects = tuple(path for path in files if path.parent == folder.objects)
    return RunResult(
        folder=folder,
        summary=summarise(map(read_objects, objects)),
        blocks=blocks,
        files=objects,
        oversize=manifest["oversize_candidates"],
        seams=manifest["checks"]["seams"],
        resumed=len(blocks),
        wall_s=0.0,
    )


def check_software(client: Client) -> None:
    """Refuse workers whose software would give other bits than the request says.

    Args:
        client: A client of the workers.

    Raises:
        InputError: A worker has another version or another type of processor.
    """
    here = software()
    for worker, there in client.run(software).items():
        other = {k: v for k, v in there.items() if here[k] != v}
        if other:
            mine = {name: here[name] for name in other}
            raise InputError(
                f"worker {worker} has {other}, and this process {mine}: results would "
                "differ. Install one set of versions on all (constraints.txt)"
            )


def timing(result: RunResult) -> dict[str, Any]:
    """Return seconds and memory of a run, in total and by worker.

    Args:
        result: How the run ended.
    """
    return {
        "wall_s": round(result.wall_s, 3),
        "resumed_blocks": result.resumed,
        "forward_share": round(result.forward_share, 4),
        "workers": workers_of(result.blocks),
    }


def software() -> dict[str, str]:
    """Return the versions that a run depends on, and the machine's type."""
    versions = {name: version(name) for name in SOFTWARE}
    return {**versions, "python": platform.python_version(), "cpu": platform.machine()}
