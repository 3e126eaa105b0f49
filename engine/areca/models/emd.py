"""Esri model definitions (.emd) to cards.

An .emd says the tile, the bands by number, the classes and the file of the weights:
https://github.com/Esri/raster-deep-learning/blob/master/docs/writing_model_definition.md
It does not say the pixel on the ground, the statistics of the bands or the context
(save `ModelPadding`), so the caller gives these. Its `InferenceFunction` is Python and
is never run; its `DataRange` scales each raster by its own range and is not followed;
its `BatchSize` is a setting of a run.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from areca.errors import ModelError
from areca.models.card import ModelCard
from areca.models.contracts import CONTRACTS, FAMILIES, TASKS, WHOLE_FILE
from areca.models.states import read_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from areca.models.contracts import Contract

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
_NETWORKS = {
    "FasterRCNN": "fasterrcnn",
    "MaskRCNN": "maskrcnn",
    "DeepLab": "deeplabv3",
}
"""Values of `ModelConfiguration` that name a network of torchvision. That the weights
are its own is seen when they are loaded."""
LARGEST_EMD_BYTES = 2**20
LARGEST_TILE_PX = 8192
_KINDS: dict[str, type] = {
    "ModelType": str,
    "ModelFile": str,
    "ModelPadding": int,
    "ExtractBands": list,
    "Classes": list,
}
_KIND_WORDS = {str: "text", int: "a whole number", list: "a list"}
_NEEDED = ("ModelType", "ModelFile", "ImageHeight", "ImageWidth", "Classes")


@dataclass(frozen=True, kw_only=True)
class Definition:
    """An Esri model definition, read and not yet understood."""

    keys: Mapping[str, Any]
    """Its keys and values."""
    source: str
    """Where it is from, for messages."""
    name: str
    """Name of its file, without suffix."""

    @property
    def weights(self) -> str:
        """Path of the weights, as seen from the definition, with /."""
        return PureWindowsPath(str(self.keys["ModelFile"])).as_posix()

    def card(self, given: Mapping[str, Any]) -> ModelCard:
        """Return the card.

        Args:
            given: What the definition does not say, by the names of the card's fields;
                it goes before what the definition says. `bands` are all bands of the
                imagery.

        Returns:
            The card, without SHA-256 where `given` has none.

        Raises:
            ModelError: Something is missing, which is named, or does not go together.
        """
        known = self._known(given)
        if "architecture" in known:
            _ = self._contract(known)  # a wrong one is told before what is missing
        if missing := [name for name in _required() if name not in known]:
            raise ModelError(
                f"{self.source} does not say {', '.join(missing)}; give each as "
                f"name=value (--set){self._hint(missing)}"
            )
        contract = self._contract(known)
        labels, background = _classes(self.keys["Classes"], contract, self.source)
        said = {"task": TASKS[contract], "labels": labels, "background": background}
        bands = _bands(self.keys.get("ExtractBands"), known["bands"], self.source)
        try:
            return ModelCard(**{**said, **known, "bands": bands})
        except TypeError as error:
            raise ModelError(f"{self.source}: a field cannot be: {error}") from error

    def _known(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the card that are given, or that the keys tell."""
        name = PureWindowsPath(self.weights).name
        suffix = PureWindowsPath(name).suffix.lower()
        kind = self.keys["ModelType"]
        said = {
            "name": self.name,
            "version": "emd",
            "tile_px": _tile(self.keys, self.source),
            "weights": name,
            "format": _FORMATS.get(suffix, suffix.lstrip(".")),
            "description": str(self.keys.get("Description", "")),
        }
        if suffix == ".onnx" and kind in _TYPES:
            said |= {
                "architecture": WHOLE_FILE,
                "architecture_options": {"contract": _TYPES[kind][0]},
            }
        elif (network := str(self.keys.get("ModelConfiguration"))) in _NETWORKS:
            said["architecture"] = _NETWORKS[network]
        if kind == "ImageClassification":
            # No candidates; a threshold is a choice of the run.
            said |= {"margin_px": 0, "max_object_px": 0}
            said |= {"score_threshold": 0.5, "nms_iou": 0.5}
        if self.keys.get("ModelPadding"):
            said["context_px"] = int(self.keys["ModelPadding"])
        return {**said, **given}

    def _hint(self, missing: list[str]) -> str:
        if "architecture" not in missing:
            return ""
        kind = self.keys["ModelType"]
        fit = [n for n, f in FAMILIES.items() if f.contract in _TYPES.get(kind, ())]
        return f". The architecture is one of {', '.join(fit) or ', '.join(FAMILIES)}"

    def _contract(self, known: Mapping[str, Any]) -> Contract:
        architecture = known["architecture"]
        contract = known.get("architecture_options", {}).get("contract")
        if architecture in FAMILIES and architecture != WHOLE_FILE:
            contract = FAMILIES[architecture].contract
        if contract not in CONTRACTS:
            raise ModelError(
                f"{self.source}: {architecture!r} is no known architecture, or a file "
                "whose architecture_options do not say its contract; an .emd does not "
                "say it"
            )
        if contract not in _TYPES.get(self.keys["ModelType"], ()):
            raise ModelError(
                f"{self.source} has the ModelType {self.keys['ModelType']!r}, but "
                f"{architecture} gives {contract}; areca runs {', '.join(_TYPES)}"
            )
        found: Contract = contract
        return found


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
    """  # noqa: DOC502 - raised by the helpers
    asked = {**given, "architecture": architecture, "bands": tuple(bands)}
    return read_emd(path).card(asked)


def read_emd(path: Path) -> Definition:
    """Return the definition in an .emd file.

    Raises:
        ModelError: It cannot be read, is no JSON, too large, or lacks a key.
    """  # noqa: DOC502 - raised by the helpers
    return parse_emd(read_file(path), str(path), path.stem)


def parse_emd(data: bytes, source: str, name: str) -> Definition:
    """Return a definition.

    Args:
        data: The .emd file.
        source: Where it is from, for messages.
        name: Its name without suffix.

    Returns:
        The definition; it has all keys that an .emd must have.

    Raises:
        ModelError: It is no JSON, too large, or lacks a key.
    """
    if len(data) > LARGEST_EMD_BYTES:
        raise ModelError(
            f"{source} has {len(data):,} bytes; more than {LARGEST_EMD_BYTES:,} are no "
            "model definition"
        )
    try:
        emd = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{source} is not readable as a model definition: {error}"
        ) from error
    missing = [key for key in _NEEDED if not isinstance(emd, dict) or key not in emd]
    if missing:
        raise ModelError(
            f"{source} lacks {', '.join(missing)}; it is no Esri model definition"
        )
    _check_kinds(emd, source)
    return Definition(keys=emd, source=source, name=name)


def _check_kinds(emd: Mapping[str, Any], source: str) -> None:
    """Refuse keys whose values are of another kind than Esri's.

    Raises:
        ModelError: Names the key and its value.
    """
    for key, kind in _KINDS.items():
        value = emd.get(key)
        if value is None and key not in _NEEDED:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            word = _KIND_WORDS[kind]
            raise ModelError(f"{source} has {key} = {value!r:.80}; it must be {word}")
    numbers = emd.get("ExtractBands") or []
    if any(type(number) is not int for number in numbers):
        raise ModelError(
            f"{source} has ExtractBands = {numbers!r:.80}; give whole numbers from 0"
        )


def _required() -> list[str]:
    """Return the fields without which there is no card; the classes are in the keys."""
    every = fields(ModelCard)
    bare = [f.name for f in every if f.default is f.default_factory is MISSING]
    return ["architecture", *(name for name in bare if name != "labels")]


def _tile(emd: Mapping[str, Any], source: str) -> int:
    height, width = emd["ImageHeight"], emd["ImageWidth"]
    if height != width:
        raise ModelError(
            f"{source} has tiles of {width} x {height} px; areca runs square ones"
        )
    if not isinstance(height, int) or not 0 < height <= LARGEST_TILE_PX:
        raise ModelError(
            f"{source} has tiles of {height!r} px; give 1 to {LARGEST_TILE_PX}"
        )
    return height


def _bands(
    numbers: Sequence[int] | None, bands: Sequence[str], source: str
) -> tuple[str, ...]:
    if numbers is None:
        return tuple(bands)
    if any(number not in range(len(bands)) for number in numbers):
        raise ModelError(
            f"{source} extracts the bands {list(numbers)}, but the {len(bands)} bands "
            f"{', '.join(bands)} have the numbers 0 to {len(bands) - 1}"
        )
    return tuple(bands[number] for number in numbers)


def _classes(
    classes: Sequence[Mapping[str, Any]], contract: str, source: str
) -> tuple[tuple[str, ...], int | None]:
    """Return the labels of the card, and which of them is the background.

    Raises:
        ModelError: Their values leave one out.
    """
    try:
        names = {int(one["Value"]): str(one["Name"]) for one in classes}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{source} has Classes without a Value and a Name each: {error!r}"
        ) from error
    is_dense = contract == "logits"
    # Values from 1 leave 0 to the background, which only logits have as a label.
    if is_dense and 0 not in names:
        names[0] = "background"
    values = sorted(names)
    if values not in ([*range(len(values))], [*range(1, len(values) + 1)]):
        raise ModelError(
            f"{source} has classes with the values {values}; they must follow each "
            "other from 0 or 1, as the outputs of the network do"
        )
    if not is_dense and values[0] == 0:
        raise ModelError(
            f"{source} numbers its classes from 0, where the labels of a detector have "
            "the background; number them from 1, and let the network do the same"
        )
    has_background = is_dense and names[0].lower() in {"background", "nodata"}
    return tuple(names[value] for value in values), 0 if has_background else None
