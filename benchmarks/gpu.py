"""A GPU and its limit: runs over a scene against forward passes alone.

    python benchmarks/gpu.py [--rounds 5] [--threads 8] [--processes 1]

The limit is the same network on the same device with its batches on it already, one
after the other. areca reads the scene from disk, standardises, predicts, makes class
maps or candidates, settles and writes them, inside dask.distributed. Random weights:
times are of the network, not of what it finds. Busy is what the driver reports.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pipeline
import torch
from pynvml import (
    nvmlDeviceGetHandleByIndex,
    nvmlDeviceGetUtilizationRates,
    nvmlInit,
)

import areca
from areca.inference.session import session_of
from areca.models.architectures import build_network
from areca.models.card import ModelCard
from areca.models.weights import save_model
from areca.runs.run import _check_networks
from areca.runtime import open_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from areca.models.handle import Model
    from areca.runs.ledger import BlockDone

BANDS = ("red", "green", "blue")
COMMON = {
    "version": "1", "bands": BANDS, "resolution_m": 0.2, "tile_px": 512,
    "mean": (110.0,) * 3, "std": (50.0,) * 3, "nms_iou": 0.3,
}  # fmt: skip
OBJECTS = {"context_px": 8, "margin_px": 4, "max_object_px": 40,
           "labels": ("palm",), "score_threshold": 0.999}  # fmt: skip
UNET = ModelCard(
    name="unet", task="semantic-segmentation", architecture="unet",
    architecture_options={"encoder": "resnet34"}, context_px=32, margin_px=0,
    max_object_px=0, labels=("ground", "crown", "water"), background=0,
    score_threshold=0.5, precision="bf16", **COMMON,
)  # fmt: skip
CARDS = {
    "U-Net ResNet-34, bf16, all ground": UNET,
    "U-Net ResNet-34, bf16, a patchwork of classes": replace(UNET, version="2"),
    "built-in detector": ModelCard(name="detector", **OBJECTS, **COMMON),
    "Faster R-CNN ResNet-50": ModelCard(
        name="boxes", architecture="fasterrcnn",
        architecture_options={"backbone": "resnet50", "rpn_post_nms_top_n_test": 100},
        **OBJECTS, **COMMON,
    ),
}  # fmt: skip
BATCH = {"Faster R-CNN ResNet-50": 8}


def random_model(card: ModelCard, folder: Path) -> Model:
    """Write a model with random weights."""
    torch.manual_seed(0)
    network = build_network(card).eval()
    if card is UNET:
        with torch.no_grad():
            network.segmentation_head[0].bias[0] = 1e3
    return save_model(network, card, folder)


def limit(model: Model, batch_size: int, seconds: float = 3.0) -> float:
    """Return tiles a second of forward passes whose batches are on the device."""
    network = session_of(model, areca.PredictOptions(device="cuda")).network
    card = model.card
    shape = (batch_size, len(card.bands), card.tile_px, card.tile_px)
    tiles = torch.randn(shape, device="cuda")
    tiles = tiles.contiguous(memory_format=torch.channels_last)
    run = network._network  # noqa: SLF001
    if card.contract == "boxes":
        tiles = list(tiles)  # as torchvision takes them
    enabled = card.precision == "bf16"
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled):
        for _ in range(5):
            run(tiles)
        torch.cuda.synchronize()
        start, passes = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            run(tiles)
            passes += 1
            if passes % 8 == 0:
                torch.cuda.synchronize()
        torch.cuda.synchronize()
        return passes * batch_size / (time.perf_counter() - start)


def census(
    client: Client, scene: Path, model: Model, batch: int
) -> tuple[float, list[BlockDone]]:
    """Return tiles a second of all blocks, the models loaded before, and the blocks."""
    request = pipeline.request_of(scene, model, batch_size=batch, device="cuda")
    _check_networks(client, request.plan.predictor)
    done, seconds = pipeline.run_all(client, request)
    return sum(block.tiles for block in done) / seconds, done


def shares(done: list[BlockDone]) -> str:
    """Return what part of the time of blocks goes into reading, and into passes."""
    whole = sum(block.ended - block.started for block in done)
    parts = sum(b.read_s for b in done), sum(b.forward_s for b in done)
    return " / ".join(f"{100 * part / whole:.0f}" for part in parts)


@contextmanager
def cluster(processes: int, threads: int) -> Iterator[Client]:
    """Open one worker on the GPU, or several processes that share it."""
    kind = "cuda" if processes == 1 else "local"
    workers = None if processes == 1 else processes
    with open_client(kind, workers=workers, threads=threads) as client:
        yield client


class Busy:
    """Samples how busy the device is, from a thread."""

    def __init__(self) -> None:
        nvmlInit()
        self.handle, self.seen = nvmlDeviceGetHandleByIndex(0), []
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self.end.wait(0.1):
            self.seen.append(nvmlDeviceGetUtilizationRates(self.handle).gpu)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self.thread.join()

    @property
    def share(self) -> float:
        return statistics.mean(self.seen) if self.seen else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=1, help="that share the GPU")
    parser.add_argument("--threads", type=int, default=8, help="of each process")
    parser.add_argument("--tiles", type=int, default=32, help="along each side")
    parser.add_argument("--models", default="", help="those whose title holds this")
    given = parser.parse_args()
    print(f"{torch.cuda.get_device_name(0)}, {os.cpu_count()} cores, torch "
          f"{torch.__version__}, {datetime.now(UTC).date()}, {given.tiles**2} tiles "
          f"of 512 px, {given.processes} process(es) of {given.threads} threads, load "
          f"{os.getloadavg()[0]:.1f}")  # fmt: skip
    print("| model | forward only, tiles/s | areca, tiles/s | areca, Mpx/s | time "
          "over forward only | GPU busy | of a block: reading / passes, % |\n"
          "|---|---|---|---|---|---|---|")  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as name,
        cluster(given.processes, given.threads) as client,
    ):
        folder = Path(name)
        pipeline.draw(folder / "scene.tif", given.tiles)
        for title, card in CARDS.items():
            if given.models not in title:
                continue
            model = random_model(card, folder / title)
            batch = BATCH.get(title, 16)
            census(client, folder / "scene.tif", model, batch)  # files, cuDNN, memory
            ours, alone, busy = [], [], []
            for _ in range(given.rounds):
                # Workers keep their parts of the memory; alone, the network has it all.
                client.run(torch.cuda.empty_cache)
                alone.append(limit(model, batch))
                torch.cuda.empty_cache()
                with Busy() as watch:
                    rate, done = census(client, folder / "scene.tif", model, batch)
                ours.append(rate)
                busy.append(watch.share)
            ratios = [a / b for a, b in zip(alone, ours, strict=True)]
            rate = statistics.median(ours)
            print(f"| {title} | {statistics.median(alone):.0f} | {rate:.0f} | "
                  f"{rate * card.core_px**2 / 1e6:.0f} | "
                  f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-"
                  f"{max(ratios):.2f}) | {statistics.median(busy):.0f} % | "
                  f"{shares(done)} |",
                  flush=True)  # fmt: skip
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
