"""What the verbs after a run need to know of it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from areca.errors import ArecaError
from areca.exports import ImageGrid
from areca.measures import CountCalibration
from areca.models.handle import load_model
from areca.runs import FinishedRun

if TYPE_CHECKING:
    from areca.models.handle import Model

CHANGES_ANSWERS = (
    "threshold", "nms_overlap", "tile_px", "merge_policy", "classes",
)  # fmt: skip
"""Options that must be the card's for its scores to hold."""


def open_run(path: Path) -> FinishedRun | None:
    """Return the run in a folder; None where the path is a table and no run.

    Args:
        path: Run folder, or file or folder of a table.
    """
    is_table = path.is_file() or (path.is_dir() and any(path.glob("*.parquet")))
    return None if is_table or not path.exists() else FinishedRun.open(path)


def state_notes(run: FinishedRun | None) -> list[str]:
    """Return what to say of a run before its objects are used.

    Args:
        run: The run, if there is one.
    """
    if run is None or not run.holes:
        return []
    note = (
        f"the run is PARTIAL: {run.holes} of {run.manifest['blocks']} blocks have no "
        f"answer, see {run.folder.holes}; their objects are missing here too"
    )
    return [note]


def images_of(run: FinishedRun | None) -> tuple[ImageGrid, ...]:
    """Return the images of a run, in mosaic order; none without a run."""
    return tuple(
        ImageGrid(
            item_id=scene.id,
            file_name=PurePosixPath(urlsplit(scene.bands[0].href).path).name,
            height=scene.shape[0],
            width=scene.shape[1],
            crs=scene.crs,
            transform=scene.transform,
            date=scene.end or None,
        )
        for scene in (() if run is None else run.scenes)
    )


def calibration_of(
    run: FinishedRun | None, model: str | None
) -> tuple[CountCalibration | None, str]:
    """Return what the scores of a run's model say about counts.

    Args:
        run: The run, if there is one.
        model: Name or folder of the model; that of the run if None.

    Returns:
        The calibration, or None, and why there is none or where it is from.
    """
    if run is None:
        return None, "no interval of counts: a table does not tell its model's scores"
    asked = run.request["model"]
    try:
        found: Model = load_model(model or asked["name"])
    except ArecaError:
        return None, (
            f"no interval of counts: the model {asked['name']!r} is not at hand; name "
            "its folder with --model"
        )
    if found.card.digest != asked["digest"]:
        return None, (
            f"no interval of counts: the run used another {asked['name']!r} than this"
        )
    options = run.request["options"]
    changed = [n for n in CHANGES_ANSWERS if options.get(n) is not None]
    if options.get("augment", "none") != "none":
        changed.append("augment")
    if changed:
        return None, (
            "no interval of counts: the scores of the model do not hold for another "
            f"{', '.join(changed)}"
        )
    calibration = CountCalibration.of_scores(found.card.scores)
    if calibration is None:
        return None, "no interval of counts: the model was not scored on test ground"
    counts = calibration
    return calibration, (
        f"interval of counts: {counts.level:.0%}, from the test ground of "
        f"{asked['name']} ({counts.n_found} found, {counts.n_confirmed} with a label; "
        f"{counts.n_true} labelled, {counts.n_matched} found), if this ground is like "
        "that"
    )
