"""`manifest.json`: what a run wrote, how it went; written last."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from areca.runs.folder import file_sha256, write_json
from areca.runs.ledger import workers_of

if TYPE_CHECKING:
    from areca.runs.request import RunRequest
    from areca.runs.result import RunResult

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
    files = [folder.request, *result.files, folder.holes, folder.report]
    write_json(
        folder.manifest,
        {
            "state": result.state,
            "request_digest": request.digest,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "objects": result.summary.count,
            "blocks": len(result.blocks),
            "holes": [{"block": b.name, "error": b.error} for b in result.holes],
            "oversize_candidates": sum(b.oversize for b in result.blocks),
            "files": {
                str(path.relative_to(folder.path)): file_sha256(path) for path in files
            },
            "timing": timing(result),
            "software": software(),
        },
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
