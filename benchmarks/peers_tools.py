"""The arms of `peers.py` that need another tool; each is imported by its own arm.

They get the network that areca has loaded (its own memory format and number type)
wherever the tool leaves the forward pass to its user, so that what differs is the way
of a pixel to the network and back.
"""

from __future__ import annotations

import contextlib
import os
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import torch
from peers_answers import THREADS, Answers, Done, scene_boxes
from peers_arms import ready
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from areca.models.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peers_ground import Case
    from sahi.models.base import DetectionModel

    from areca.models.adapter import LoadedModel

PEERS = {
    "torchgeo": ("TorchGeo", "MIT"),
    "sahi": ("SAHI", "MIT"),
    "geo-inference": ("geo-inference", "Open Government Licence - Canada"),
}
"""Distribution, name and licence."""


def installed(distribution: str) -> str:
    """Return the version of a peer, empty where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def torchgeo(case: Case, out: Path, workers: int) -> Done:
    """`RasterDataset`, `GridGeoSampler` and a `DataLoader`, as its tutorials do."""
    from torch.utils.data import DataLoader  # noqa: PLC0415
    from torchgeo.datasets import RasterDataset, stack_samples  # noqa: PLC0415
    from torchgeo.samplers import GridGeoSampler  # noqa: PLC0415

    network, card = ready(case), case.card
    dataset = RasterDataset(paths=[str(case.scene)])
    sampler = GridGeoSampler(dataset, size=card.tile_px, stride=card.core_px)
    loader = DataLoader(
        dataset,
        sampler=sampler,
        batch_size=case.batch,
        num_workers=workers,
        collate_fn=stack_samples,
    )
    mean, std = (torch.tensor(v)[:, None, None] for v in (card.mean, card.std))
    answers, seen = Answers(case, network), []
    start = time.perf_counter()
    for batch in loader:
        tiles = (batch["image"] - mean) / std
        corners = [_corner(case, place) for place in batch["transform"]]
        answers.take(network.forward(tiles.numpy()), corners)
        seen += corners
    found = answers.settle(out)
    seconds = time.perf_counter() - start
    if sorted(seen) != case.corners:
        raise SystemExit(f"TorchGeo cut {len(seen)} other tiles: {sorted(seen)[:3]} …")
    return Done(seconds, **found)


def _corner(case: Case, place: Tensor) -> tuple[int, int]:
    """Return the scene pixel of a sample's upper left corner."""
    x, y = float(place[2]), float(place[5])
    col, row = ~case.transform * (x, y)
    return round(row), round(col)


def sahi_torchvision(case: Case, out: Path, *, batch: int, merge: str) -> Done:
    """SAHI's own adapter of torchvision, on the same weights.

    Its tensors are bytes over 255, so the network's preparation gets the statistics of
    the card over 255; it resizes nothing. Suppression within a slice is the network's
    own, as SAHI expects it.
    """
    from sahi.models.torchvision import TorchVisionDetectionModel  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    card: Any = case.model.card
    network: Any = load_weights(case.model).to(memory_format=torch.channels_last)
    network.transform = GeneralizedRCNNTransform(
        card.tile_px, card.tile_px,
        [value / 255 for value in card.mean], [value / 255 for value in card.std],
    )  # fmt: skip
    network.roi_heads.nms_thresh, network.roi_heads.detections_per_img = 0.5, 300
    network.roi_heads.score_thresh = card.score_threshold
    model = TorchVisionDetectionModel(
        model=network, confidence_threshold=card.score_threshold, device="cpu",
        category_mapping={"0": "ground", "1": "palm"},
    )  # fmt: skip
    return _sliced(case, out, model, batch=batch, merge=merge)


def sahi_areca(case: Case, out: Path, *, batch: int, merge: str) -> Done:
    """SAHI around the built-in detector, through its class for models."""
    from sahi.models.base import DetectionModel as Base  # noqa: PLC0415
    from sahi.prediction import ObjectPrediction  # noqa: PLC0415

    network, card = ready(case), case.card
    mean, std = (np.array(v, np.float32) for v in (card.mean, card.std))

    class Detector(Base):
        def set_model(self, model: LoadedModel, **_: object) -> None:
            self.model, self.category_mapping = model, {"0": "palm"}

        def perform_inference(self, image: np.ndarray) -> None:
            tile = ((image.astype(np.float32) - mean) / std).transpose(2, 0, 1)
            raw = self.model.forward(np.ascontiguousarray(tile[None]))
            self._original_predictions = self.model.decode(raw, card.score_threshold)

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: list[object], full_shape_list: list[object]
        ) -> None:
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=row[:4].tolist(), score=row[4], category_id=0,
                        category_name="palm", shift_amount=shift, full_shape=full,
                    )
                    for row in scene_boxes(found, (0, 0))
                ]
                for found, shift, full in zip(
                    self._original_predictions, shift_amount_list, full_shape_list,
                    strict=True,
                )
            ]  # fmt: skip

    model = Detector(
        model=network, confidence_threshold=card.score_threshold, device="cpu"
    )
    return _sliced(case, out, model, batch=batch, merge=merge)


def _sliced(
    case: Case, _out: Path, model: DetectionModel, *, batch: int, merge: str
) -> Done:
    from PIL import Image  # noqa: PLC0415
    from sahi.predict import get_sliced_prediction  # noqa: PLC0415

    Image.MAX_IMAGE_PIXELS = None
    card = case.card
    overlap = 1 - card.core_px / card.tile_px
    settings: dict[str, Any] = {} if merge == "default" else {
        "postprocess_type": "NMS", "postprocess_match_metric": "IOU",
        "postprocess_match_threshold": card.nms_iou, "force_postprocess_type": True,
    }  # fmt: skip
    edge = card.tile_px
    model.perform_inference(np.zeros((edge, edge, 3), np.uint8))
    start = time.perf_counter()
    result = get_sliced_prediction(
        str(case.scene), model, slice_height=edge, slice_width=edge,
        overlap_height_ratio=overlap, overlap_width_ratio=overlap,
        perform_standard_pred=False, batch_size=batch, verbose=0, **settings,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    boxes = [found.bbox.to_xyxy() for found in result.object_prediction_list]
    merged = {"merge_s": result.durations_in_seconds["postprocess"]}
    return Done(seconds, boxes=np.array(boxes).reshape(-1, 4), notes=merged)


class FromBytes(nn.Module):
    """A network that takes bytes, as geo-inference feeds its models."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.network = load_weights(case.model).to(memory_format=torch.channels_last)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(case.card, name))
            self.register_buffer(name, values[:, None, None])

    def forward(self, tiles: Tensor) -> Tensor:
        scaled = (tiles.float() - self.mean) / self.std
        return self.network(scaled.contiguous(memory_format=torch.channels_last))


def geo_inference(case: Case, out: Path) -> Done:
    """NRCan's geo-inference with its defaults: half a tile of stride, Hann windows.

    On two cores it runs one Dask thread, whose forward passes have two threads.
    """
    from geo_inference.geo_inference import GeoInference  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    size = case.card.tile_px
    example = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    with torch.inference_mode():
        traced = torch.jit.trace(FromBytes(case).eval(), example)
    traced.save(out / "unet.pt")
    tool = GeoInference(
        model=str(out / "unet.pt"), work_dir=str(out), device="cpu",
        num_classes=len(case.card.labels),
    )  # fmt: skip
    with torch.no_grad():
        for _ in range(2):  # TorchScript optimises at its second call
            tool.model(example)
    start = time.perf_counter()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        name = tool(inference_input=str(case.scene), patch_size=size)
    seconds = time.perf_counter() - start
    with rasterio.open(out / name) as file:
        return Done(seconds, labels=file.read(1))


TORCHGEO: dict[str, Callable[[Case, Path], Done]] = {
    "TorchGeo, num_workers=0": lambda case, out: torchgeo(case, out, 0),
    "TorchGeo, num_workers=2": lambda case, out: torchgeo(case, out, 2),
}


def _sahi(run: Callable[..., Done]) -> dict[str, Callable[[Case, Path], Done]]:
    return {
        "SAHI, default": lambda case, out: run(case, out, batch=1, merge="default"),
        "SAHI, batched, NMS": lambda case, out: run(
            case, out, batch=case.batch, merge="nms"
        ),
    }


ARMS: dict[str, dict[str, tuple[str, Callable[[Case, Path], Done]]]] = {
    "unet": {
        **{name: ("torchgeo", arm) for name, arm in TORCHGEO.items()},
        "geo-inference": ("geo-inference", geo_inference),
    },
    "oil-palm": {
        **{name: ("torchgeo", arm) for name, arm in TORCHGEO.items()},
        **{name: ("sahi", arm) for name, arm in _sahi(sahi_areca).items()},
    },
    "boxes": {name: ("sahi", arm) for name, arm in _sahi(sahi_torchvision).items()},
}
"""By model: which distribution an arm needs, and the arm."""
