"""The ledger: which blocks are done, and how each of them went."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from areca.runs.folder import write_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from areca.runs.folder import RunFolder
    from areca.tiles import Block


@dataclass(frozen=True, kw_only=True)
class BlockDone:
    """What a block task reports: about 1 kB, also kept as `done.json`."""

    name: str
    key: str
    """Digest of the run's request: a result of another request is not taken over."""
    error: str | None = None
    """Why there is a hole; None when all went well."""
    tiles: int = 0
    settled: int = 0
    """Survivors that no other block can touch."""
    open: int = 0
    """Candidates at the seams, to be settled together."""
    oversize: int = 0
    """Candidates larger than the model's largest object; listed, not counted."""
    seen_px: int = 0
    """Pixels of the block that an image shows, and that lie in the area; of a
    segmentation those that have a class."""
    class_px: dict[str, int] = field(default_factory=dict)
    """Of a segmentation, how many of these have each class."""
    candidates_sha256: str = ""
    rasters_sha256: str = ""
    """Digest over the values of its rasters; empty where the model gives none."""
    precision: str = "float32"
    """Numbers of its forward passes."""
    degraded: int = 0
    """Batch size that fitted the device, where that of the request did not."""
    read_s: float = 0.0
    forward_s: float = 0.0
    started: float = 0.0
    """Clock when the task began, seconds since 1970."""
    ended: float = 0.0
    worker: str = ""
    """Process that did the work."""
    peak_memory_bytes: int = 0
    """Largest resident memory of that process so far."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The markers of one request in one run folder."""

    folder: RunFolder
    key: str
    """Digest of the request."""

    def find(self, block: Block) -> BlockDone | None:
        """Return what an earlier call left of a block, None when it must be done."""
        folder = self.folder.block(block)
        try:
            told = json.loads((folder / "done.json").read_text())
            done = BlockDone(**told)
        except (OSError, ValueError, TypeError):
            # No marker, or one that a fault of the disk has cut: it is not done.
            return None
        if len(told) < len(fields(BlockDone)):
            return None  # of a version that did not count all that this one counts
        whole = done.key == self.key and (folder / "candidates.parquet").is_file()
        return done if whole else None

    def mark(self, block: Block, done: BlockDone) -> None:
        """Write the marker of a block, after everything else of it.

        Args:
            block: The block.
            done: How it went.
        """
        write_json(self.folder.block(block) / "done.json", asdict(done))


def workers_of(done: Iterable[BlockDone]) -> dict[str, dict[str, Any]]:
    """Return blocks, seconds and memory of each worker.

    Args:
        done: The reports of blocks.

    Returns:
        By worker: `blocks`, `busy_s` (seconds with at least one block), `read_s`,
        `forward_s` (sums over its blocks), `peak_memory_bytes`.
    """
    workers: dict[str, list[BlockDone]] = {}
    for block in done:
        if block.error is None:
            workers.setdefault(block.worker, []).append(block)
    return {
        name: {
            "blocks": len(blocks),
            "busy_s": round(_covered([(b.started, b.ended) for b in blocks]), 3),
            "read_s": round(sum(b.read_s for b in blocks), 3),
            "forward_s": round(sum(b.forward_s for b in blocks), 3),
            "peak_memory_bytes": max(b.peak_memory_bytes for b in blocks),
        }
        for name, blocks in sorted(workers.items())
    }


def _covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of time spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
