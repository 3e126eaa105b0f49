"""Non-maximum suppression: areca's overlap graph against torchvision's kernel.

    python benchmarks/nms.py

Same boxes, same kept rows (checked), arms in turn, the first round thrown away.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from datetime import UTC, datetime

import numpy as np
import torch
from torchvision.ops import batched_nms

from areca.objects import box_candidates, find_overlaps, suppress
from areca.tiles import Tile

OVERLAP = 0.5
ROUNDS = 5
SIZES = (10_000, 20_000, 100_000)
LARGE = 1_000_000


def crowd(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes (n, 4) in clumps of about eight, distinct scores, three labels."""
    rng = np.random.default_rng(count)
    side = 20 * np.sqrt(count / 8)
    centres = rng.uniform(0, side, (count // 8 + 1, 2)).repeat(8, axis=0)[:count]
    centres = centres + rng.normal(0, 3, centres.shape)
    half = rng.uniform(8, 12, (count, 2))
    boxes = np.hstack([centres - half, centres + half])
    scores = (rng.permutation(count) / count).astype(np.float32)
    return boxes, scores, rng.integers(0, 3, count).astype(np.int32)


def ours(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    rows = box_candidates(boxes, scores, labels, Tile(0, 0))
    return np.flatnonzero(suppress(rows, find_overlaps(rows, OVERLAP)))


def theirs(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    tensors = map(torch.from_numpy, (boxes, scores.astype(np.float64), labels))
    return np.sort(batched_nms(*tensors, OVERLAP).numpy())


def seconds(arm, world) -> tuple[float, np.ndarray]:  # noqa: ANN001
    start = time.perf_counter()
    kept = arm(*world)
    return time.perf_counter() - start, kept


def main() -> None:
    torch.set_num_threads(2)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"{datetime.now(UTC).date()}, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print("| boxes | areca, s | torchvision, s | ratio | kept |")
    print("|---|---|---|---|---|")
    for size in SIZES:
        world, times = crowd(size), []
        for _ in range(ROUNDS + 1):
            (mine, kept), (other, same) = seconds(ours, world), seconds(theirs, world)
            if not np.array_equal(kept, same):
                raise SystemExit(f"the kept rows of {size} boxes differ")
            times.append((mine, other))
        mine, other = (
            statistics.median(column) for column in zip(*times[1:], strict=True)
        )
        ratio = statistics.median(o / m for m, o in times[1:])
        print(
            f"| {size:,} | {mine:.3f} | {other:.3f} | {ratio:.1f} x | {len(kept):,} |"
        )
    mine, kept = seconds(ours, crowd(LARGE))
    print(f"| {LARGE:,} | {mine:.2f} | not run | | {len(kept):,} |")


if __name__ == "__main__":
    main()
