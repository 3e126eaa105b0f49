"""U-Net ResNet-18 on a CPU: trained, tried in bf16, and timed against plain torch.

    python benchmarks/cpu.py [--data ../shared/data] [--steps 150] [--rounds 5]

Trains the network on the western part of the Kluang block (crown or ground), tries bf16
on tiles of the eastern part (`areca.models.precision.try_bf16`), and times one forward
pass: plain float32 with contiguous memory in inference_mode, what areca runs by default
here, and the steps between. The weights stay in a temporary folder: they are too large
to be kept.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import crowns
import numpy as np
import torch
from arms import options, print_table, reported, spread
from networks import unet_card

from areca.models.adapter import load_network
from areca.models.adapter_dense import DenseSegmenter, has_bf16
from areca.models.precision import try_bf16
from areca.models.weights import load_weights, save_model

if TYPE_CHECKING:
    from areca.models.handle import Model

TRIED = 6


def held_back(pixels: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tiles of the eastern 40 %, and their classes."""
    edge = unet_card().tile_px
    first = int(pixels.shape[2] * 0.6)
    rows = range(0, pixels.shape[1] - edge, edge)
    cols = range(first, pixels.shape[2] - edge, edge)
    step = max(1, len(rows) * len(cols) // TRIED)
    places = [(r, c) for r in rows for c in cols][::step]
    cut = [(slice(r, r + edge), slice(c, c + edge)) for r, c in places]
    tiles = np.stack([pixels[:, r, c] for r, c in cut])
    return tiles, np.stack([classes[r, c] for r, c in cut])


def timed(model: Model, tile: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return seconds a pass; the arms in turn, one pass each."""
    plain = load_weights(model)
    last = load_weights(model).to(memory_format=torch.channels_last)
    ours = load_network(model)
    folded = DenseSegmenter(load_weights(model), model.card, bf16=False)
    tensor = torch.from_numpy(tile)
    apart = tensor.contiguous(memory_format=torch.channels_last)
    arms = {
        "plain float32, contiguous": lambda: plain(tensor),
        "channels_last": lambda: last(apart),
        "channels_last, norms folded": lambda: folded.forward(tile),
        "areca's default here": lambda: ours.forward(tile),
    }
    found: dict[str, list[float]] = {name: [] for name in arms}
    with torch.inference_mode():
        for turn in range(rounds + 1):
            for name, run in arms.items():
                start = time.perf_counter()
                run()
                if turn:  # the first is thrown away
                    found[name].append(time.perf_counter() - start)
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--steps", type=int, default=150)
    asked = parser.parse_args()
    threads = torch.get_num_threads()
    hardware = "has" if has_bf16(torch.device("cpu")) else "has no"
    with reported(f"U-Net ResNet-18, {threads} threads, {hardware} bf16"):
        pixels, classes = crowns.ground(unet_card(), asked.data)
        with tempfile.TemporaryDirectory() as folder:
            network = crowns.trained(unet_card(), pixels, classes, asked.steps)
            model = save_model(network, unet_card(), Path(folder))
            tiles, wanted = held_back(pixels, classes)
            exact = DenseSegmenter(load_weights(model), model.card, bf16=False)
            right = np.mean([
                exact.forward(tile[None])["logits"][0].argmax(0) == truth
                for tile, truth in zip(tiles, wanted, strict=True)
            ])  # fmt: skip
            tried = try_bf16(model, tiles)
            told = tried.card.scores["bf16"]
            share = f"{told['argmax_agreement']:.3%} of {told['pixels']:,}"
            print(
                f"held-back ground: {right:.1%} of the pixels as labelled; bf16 keeps"
            )
            print(f"{share}, so the card says {tried.card.precision}")
            found = timed(tried, tiles[:1], asked.rounds)
        base = found["plain float32, contiguous"]
        rows = [
            (name, spread([1e3 * s for s in times], ".0f"),
             spread([b / s for b, s in zip(base, times, strict=True)]) + " x")
            for name, times in found.items()
        ]  # fmt: skip
        print_table(("forward pass of one tile of 512 px", "ms", "faster"), rows)


if __name__ == "__main__":
    main()
