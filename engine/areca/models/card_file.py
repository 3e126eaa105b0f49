"""Cards on disk: STAC items with the Machine Learning Model (MLM) extension.

Specification: https://github.com/stac-extensions/mlm (v1.4.0). What MLM has no field
for is written as `areca:<field>`, so the file alone rebuilds the card.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from areca.errors import ModelError
from areca.models.card import ModelCard

if TYPE_CHECKING:
    from areca.models.contracts import Contract

CARD_NAME = "model.json"
"""Name of the card in a model's folder."""
_MLM = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
_FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_SHA256_MULTIHASH = "1220"
"""Multihash prefix that the file extension asks for: sha2-256, 32 bytes."""
_BOXES = (
    "boxes: left, top, right, bottom (px of the tile), score, class",
    [-1, -1, 6],
    ["batch", "box", "field"],
)
_MASK_DIMS = ["batch", "box", "height", "width"]
_ARTIFACTS = {
    "safetensors": (
        "application/octet-stream; application=safetensors",
        "safetensors",
    ),
    "state-dict": ("application/octet-stream; application=pytorch", "torch.save"),
    "darknet": ("application/octet-stream; application=darknet", "darknet"),
    "onnx": ("application/octet-stream; application=onnx", "onnx"),
    "pt2": ("application/octet-stream; application=pytorch", "torch.export.save"),
    "torchscript": ("application/octet-stream; application=pytorch", "torch.jit.save"),
    "callable": ("text/x-python", "python"),
}
"""Media type and MLM artifact type of each format."""
_NEEDED = {
    "name",
    "version",
    "bands",
    "resolution_m",
    "tile_px",
    "context_px",
    "max_object_px",
    "mean",
    "std",
    "labels",
    "score_threshold",
    "nms_iou",
}
_TUPLES = {"bands", "mean", "std", "labels", "footprint"}


def write_card(card: ModelCard, path: str | Path) -> None:
    """Write the card as one STAC item; equal cards give equal bytes.

    Args:
        card: The card, which should have the SHA-256 of its weights: to write card and
            weights of a new model, see `areca.pack_model`.
        path: The file, or the folder of the model.
    """
    path = _card_path(path)
    text = json.dumps(card_to_item(card), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_card(path: str | Path) -> ModelCard:
    """Return the card that `write_card` wrote.

    Args:
        path: The file, or the folder of the model.

    Raises:
        ModelError: the file is not there, is no JSON, or lacks a field.
    """
    path = _card_path(path)
    try:
        item = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"no model card at {path} ({error.strerror}); a model is a folder with "
            "model.json and its weights"
        ) from error
    except ValueError as error:
        raise ModelError(f"{path} is not readable as a model card: {error}") from error
    return card_from_item(item, source=str(path))


def _card_path(path: str | Path) -> Path:
    path = Path(path)
    return path / CARD_NAME if path.is_dir() else path


def card_from_item(item: object, *, source: str) -> ModelCard:
    """Return the card rebuilt from its STAC item.

    Raises:
        ModelError: a field is missing or has a value that cannot be.
    """
    properties = item.get("properties") if isinstance(item, dict) else None
    if not isinstance(properties, dict):
        raise ModelError(f"{source} is no STAC item: it has no object 'properties'")
    values = {
        name: properties[f"areca:{name}"]
        for name in (entry.name for entry in fields(ModelCard))
        if f"areca:{name}" in properties
    }
    missing = sorted(_NEEDED - values.keys())
    if missing:
        raise ModelError(
            f"{source} lacks {', '.join('areca:' + name for name in missing)}; it was "
            "not written by areca, or is damaged"
        )
    for name in _TUPLES & values.keys():
        if values[name] is not None:
            values[name] = tuple(values[name])
    try:
        return ModelCard(**values)
    except TypeError as error:
        raise ModelError(f"{source}: a field has the wrong type: {error}") from error


def card_to_item(card: ModelCard) -> dict[str, Any]:
    """Return the card as a STAC item with MLM fields."""
    box = card.footprint
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [_MLM, _FILE],
        "id": f"{card.name}-{card.version}",
        "geometry": None if box is None else _rectangle(*box),
    }
    if box is not None:
        item["bbox"] = list(box)
    item["properties"] = _properties(card)
    item["links"] = []
    item["assets"] = {"weights": _asset(card)}
    return item


def _properties(card: ModelCard) -> dict[str, Any]:
    common = {
        "datetime": card.created,
        "title": card.name,
        "description": card.description or card.name,
        "license": card.license or "other",
        "mlm:name": card.name,
        "mlm:architecture": card.architecture,
        "mlm:tasks": [card.task],
        "mlm:framework": "ONNX" if card.format == "onnx" else "pytorch",
        "mlm:total_parameters": card.parameters,
        "mlm:pretrained": False,
        "mlm:accelerator": "amd64",
        "mlm:accelerator_constrained": False,
        "mlm:input": [_input(card)],
        "mlm:output": _output(card),
    }
    own = {f"areca:{name}": value for name, value in card.to_dict().items()}
    return common | own


def _input(card: ModelCard) -> dict[str, Any]:
    return {
        "name": "padded tile",
        "bands": list(card.bands),
        "input": {
            "shape": [-1, len(card.bands), card.tile_px, card.tile_px],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": [
            {"type": "z-score", "mean": mean, "stddev": std}
            for mean, std in zip(card.mean, card.std, strict=True)
        ],
        "resize_type": None,
        "pre_processing_function": None,
    }


def _output(card: ModelCard) -> list[dict[str, Any]]:
    """Return the outputs of a forward pass, by the contract of the architecture."""
    cells = card.tile_px // card.stride
    map_dims = ["batch", "channel", "height", "width"]
    shapes: dict[Contract, list[tuple[str, list[int], list[str]]]] = {
        "heatmap": [
            (
                "heat map per class, centre offset (x, y), log radius",
                [-1, len(card.labels) + 3, cells, cells],
                map_dims,
            )
        ],
        "boxes": [_BOXES],
        "masks": [_BOXES, ("masks", [-1, -1, card.tile_px, card.tile_px], _MASK_DIMS)],
        "logits": [
            (
                "logits per class",
                [-1, len(card.labels), card.tile_px, card.tile_px],
                map_dims,
            )
        ],
    }
    return [
        {
            "name": name,
            "tasks": [card.task],
            "result": {"shape": shape, "dim_order": dims, "data_type": "float32"},
            "classification:classes": _classes(card),
            "post_processing_function": None,
        }
        for name, shape, dims in shapes[card.contract]
    ]


def _classes(card: ModelCard) -> list[dict[str, Any]]:
    return [{"value": value, "name": label} for value, label in enumerate(card.labels)]


def _asset(card: ModelCard) -> dict[str, Any]:
    media_type, artifact_type = _ARTIFACTS[card.format]
    asset: dict[str, Any] = {
        "href": f"./{card.weights}",
        "type": media_type,
        "title": "weights",
        "roles": ["mlm:model", "mlm:weights", "data"],
        "mlm:artifact_type": artifact_type,
    }
    if card.sha256:
        asset["file:checksum"] = _SHA256_MULTIHASH + card.sha256
    return asset


def _rectangle(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}
