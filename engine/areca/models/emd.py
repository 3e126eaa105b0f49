"""Esri model definitions (.emd) to cards.

An .emd says the tile, the bands by number, the classes and the file of the weights:
https://github.com/Esri/raster-deep-learning/blob/master/docs/writing_model_definition.md
It does not say the pixel on the ground, the statistics of the bands or the context, so
the caller gives these. Its `InferenceFunction` is Python and is never run; its
`DataRange` scales each raster by its own range and is not followed.
"""

from __future__ import annotations

import json
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from areca.errors import ModelError
from areca.models.card import ModelCard
from areca.models.contracts import CONTRACTS, FAMILIES, TASKS, WHOLE_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TYPES = {
    "ObjectDetection": ("boxes", "masks", "heatmap"),
    "InstanceDetection": ("masks",),
    "ImageClassification": ("logits",),
}
"""Contracts that each `ModelType` can be; Esri's word for segmentation is the last."""
_FORMATS = {
    ".safetensors": "safetensors",
    ".pth": "state-dict",
    ".pt": "state-dict",
    ".weights": "darknet",
    ".onnx": "onnx",
    ".pt2": "pt2",
}
_NEEDED = ("ModelType", "ModelFile", "ImageHeight", "ImageWidth", "Classes")


def card_from_emd(
    path: Path, *, architecture: str, bands: Sequence[str], given: Mapping[str, Any]
) -> ModelCard:
    """Return the card of an Esri model definition.

    Args:
        path: The .emd file.
        architecture: Name of the network, which an .emd has no word for; "file" for an
            ONNX graph.
        bands: Names of all bands of the imagery, in order: `ExtractBands` counts them
            from 0. Without `ExtractBands` the model takes them all.
        given: What an .emd does not say, by the names of the card's fields. It goes
            before what the .emd says.

    Returns:
        The card. SHA-256 is in it only where `given` has it.

    Raises:
        ModelError: The file is unreadable or lacks a key, or contradicts itself or the
            architecture, or a needed field was not given.
    """
    emd = _read(path)
    contract = given.get("architecture_options", {}).get("contract")
    if architecture in FAMILIES and architecture != WHOLE_FILE:
        contract = FAMILIES[architecture].contract
    if contract not in CONTRACTS:
        raise ModelError(
            f"{path}: {architecture!r} is no known architecture, or a file whose "
            "architecture_options do not say its contract; an .emd does not say it"
        )
    if contract not in _TYPES.get(emd["ModelType"], ()):
        raise ModelError(
            f"{path} has the ModelType {emd['ModelType']!r}, but {architecture} gives "
            f"{contract}; areca runs {', '.join(_TYPES)}"
        )
    name = PureWindowsPath(emd["ModelFile"]).name
    suffix = PureWindowsPath(name).suffix.lower()
    labels, background = _classes(emd["Classes"], contract, path)
    said = {
        "name": path.stem,
        "version": "emd",
        "task": TASKS[contract],
        "architecture": architecture,
        "bands": _bands(emd.get("ExtractBands"), bands, path),
        "tile_px": _tile(emd, path),
        "labels": labels,
        "background": background,
        "weights": name,
        "format": _FORMATS.get(suffix, suffix.lstrip(".")),
        "description": str(emd.get("Description", "")),
    }
    if contract == "logits":
        said |= {"margin_px": 0, "max_object_px": 0}
    try:
        return ModelCard(**{**said, **given})
    except TypeError as error:
        raise ModelError(
            f"{path} does not say all of a card: {error}; give these fields"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        emd = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} is not readable as a model definition: {error}"
        ) from error
    missing = [key for key in _NEEDED if not isinstance(emd, dict) or key not in emd]
    if missing:
        raise ModelError(
            f"{path} lacks {', '.join(missing)}; it is no Esri model definition"
        )
    return dict(emd)


def _tile(emd: Mapping[str, Any], path: Path) -> int:
    height, width = emd["ImageHeight"], emd["ImageWidth"]
    if height != width:
        raise ModelError(
            f"{path} has tiles of {width} x {height} px; areca runs square ones"
        )
    return int(height)


def _bands(
    numbers: Sequence[int] | None, bands: Sequence[str], path: Path
) -> tuple[str, ...]:
    if numbers is None:
        return tuple(bands)
    if any(number not in range(len(bands)) for number in numbers):
        raise ModelError(
            f"{path} extracts the bands {list(numbers)}, but the {len(bands)} bands "
            f"{', '.join(bands)} have the numbers 0 to {len(bands) - 1}"
        )
    return tuple(bands[number] for number in numbers)


def _classes(
    classes: Sequence[Mapping[str, Any]], contract: str, path: Path
) -> tuple[tuple[str, ...], int | None]:
    """Return the labels of the card, and which of them is the background.

    Raises:
        ModelError: Their values leave one out.
    """
    names = {int(one["Value"]): str(one["Name"]) for one in classes}
    is_dense = contract == "logits"
    # Values from 1 leave 0 to the background, which only logits have as a label.
    if is_dense and 0 not in names:
        names[0] = "background"
    values = sorted(names)
    if values not in ([*range(len(values))], [*range(1, len(values) + 1)]):
        raise ModelError(
            f"{path} has classes with the values {values}; they must follow each other "
            "from 0 or 1, as the outputs of the network do"
        )
    has_background = is_dense and names[0].lower() in {"background", "nodata"}
    return tuple(names[value] for value in values), 0 if has_background else None
