"""What the verbs after a run need to know of it."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyogrio import list_layers
from pyogrio.errors import DataSourceError

from areca.catalog.hrefs import is_remote
from areca.errors import ArecaError, InputError
from areca.exports import ImageGrid
from areca.measures import CountCalibration
from areca.measures.files import is_parquet
from areca.models.handle import load_model
from areca.runs import FinishedRun
from areca.runs.folder import RunFolder

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
    # A run stays one whatever lies beside its files, such as tables made of it.
    is_run = RunFolder(path).request.exists()
    if is_run or (path.is_dir() and not _is_table(path)):
        return FinishedRun.open(path)
    return None


def _is_table(folder: Path) -> bool:
    """Return whether a folder is a table: of GeoParquet, or as GDAL has some."""
    if is_parquet(folder):
        return True
    try:
        return len(list_layers(folder)) > 0
    except DataSourceError:
        return False


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
    """Return the images of a run, in mosaic order; none without a run.

    Their files are named by their paths from the folder that holds all of them, so that
    images of one name in several folders keep apart.
    """
    if run is None:
        return ()
    images = run.images
    files = [_path_of(scene.bands[0].href) for scene in images]
    start = _shared_length([file.parent.parts for file in files])
    return tuple(
        ImageGrid(
            item_id=scene.id,
            file_name=PurePosixPath(*file.parts[start:]).as_posix(),
            height=scene.shape[0],
            width=scene.shape[1],
            crs=scene.crs,
            transform=scene.transform,
            date=scene.end or None,
        )
        for scene, file in zip(images, files, strict=True)
    )


def _path_of(href: str) -> PurePosixPath:
    """Return the path of a link; a path on this disk may hold `#` and `?`."""
    if not is_remote(href):
        return PurePosixPath(href.removeprefix("file://"))
    link = urlsplit(href)
    return PurePosixPath(link.netloc, link.path.lstrip("/"))


def _shared_length(paths: list[tuple[str, ...]]) -> int:
    """Return how many parts from the left all paths have in common."""
    columns = zip(*paths, strict=False)  # up to the end of the shortest
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, columns))


def calibration_of(
    run: FinishedRun | None, model: str | None
) -> tuple[CountCalibration | None, str]:
    """Return what the scores of a run's model say about counts.

    Args:
        run: The run, if there is one.
        model: Name or folder of the model; that of the run if None.

    Returns:
        The calibration, or None, and why there is none or where it is from. A model
        that is named and cannot be loaded ends in InputError.

    Raises:
        InputError: A model is named for a table.
    """
    if run is None:
        if model is not None:
            raise InputError(
                f"--model {model} is for runs: a table does not tell which model found "
                "its objects, so scores of one say nothing of it; leave it out"
            )
        return None, "no interval of counts: a table does not tell its model's scores"
    found = _model_of(run, model)
    why = _why_not(run, found)
    counts = None if found is None else CountCalibration.of_scores(found.card.scores)
    if why is not None or counts is None:
        why = why or "the model was not scored on test ground"
        return None, f"no interval of counts: {why}"
    return counts, (
        f"interval of counts: {counts.level:.0%}, if this ground is like the test "
        f"ground of {run.request['model']['name']}: of {counts.n_found:,} objects that "
        f"the model found there {counts.n_confirmed:,} have a label, and of "
        f"{counts.n_true:,} labels that count {counts.n_matched:,} were found"
    )


def _model_of(run: FinishedRun, name: str | None) -> Model | None:
    """Return the model of a run; None where it is not at hand and none is named."""
    if name is not None:
        return load_model(name)
    try:
        return load_model(run.request["model"]["name"])
    except ArecaError:
        return None


def _why_not(run: FinishedRun, model: Model | None) -> str | None:
    """Return why the scores of a model say nothing of a run; None where they do."""
    asked, options = run.request["model"], run.request["options"]
    if model is None:
        return (
            f"the model {asked['name']!r} is not at hand; name its folder with --model"
        )
    if model.card.digest != asked["digest"]:
        return f"the run used another {asked['name']!r} than this"
    changed = [n for n in CHANGES_ANSWERS if options.get(n) is not None]
    if options.get("augment", "none") != "none":
        changed.append("augment")
    if changed:
        return f"the scores of the model do not hold for another {', '.join(changed)}"
    return None
