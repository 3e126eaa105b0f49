"""How a run ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import override

from areca.runs.batch import read_batch
from areca.runs.ledger import BlockDone, workers_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from areca.runs.folder import RunFolder
    from areca.runs.summary import Summary


@dataclass(frozen=True, kw_only=True, repr=False)
class RunResult:
    """What a run left behind."""

    folder: RunFolder
    summary: Summary
    """Counts and sizes, as the published files have them."""
    blocks: tuple[BlockDone, ...]
    """The report of every block."""
    files: tuple[Path, ...]
    """The published GeoParquet files."""
    oversize: int
    """Candidates too large for the model to count; listed in `oversize.geojson`."""
    seams: Mapping[str, Any]
    """The seam audit (`areca.runs.seam_audit.SeamAudit.to_dict`)."""
    resumed: int
    """Blocks that an earlier call had finished."""
    wall_s: float
    """Seconds from start to the published table, of this call."""

    @property
    def measured_batch(self) -> dict[str, Any] | None:
        """What was measured for the batch size "auto"; None where it was given."""
        return read_batch(self.folder)

    @property
    def precision(self) -> str:
        """Numbers of the forward passes: "float32" or "bf16"."""
        good = [block.precision for block in self.blocks if block.error is None]
        return good[0] if good else "float32"

    @property
    def class_px(self) -> dict[str, int]:
        """Pixels of each class that lie in the area, most first; of segmentations."""
        total: Counter[str] = Counter()
        for block in self.blocks:
            total.update(block.class_px)
        return dict(sorted(total.items(), key=lambda one: (-one[1], one[0])))

    @property
    def is_repeated(self) -> bool:
        """Whether the run was finished before this call, which did nothing."""
        return self.wall_s == 0.0

    @override
    def __repr__(self) -> str:
        """Return one line."""
        return (
            f"RunResult({self.state}, {self.summary.count} objects, "
            f"{len(self.holes)} holes, {str(self.folder.path)!r})"
        )

    @property
    def holes(self) -> list[BlockDone]:
        """The blocks that failed."""
        return [block for block in self.blocks if block.error is not None]

    @property
    def state(self) -> Literal["DONE", "PARTIAL"]:
        """DONE, or PARTIAL where there are holes."""
        return "PARTIAL" if self.holes else "DONE"

    @property
    def forward_share(self) -> float:
        """Share of the time that workers had a block in which they ran the model."""
        workers = workers_of(self.blocks).values()
        busy = sum(worker["busy_s"] for worker in workers)
        return sum(worker["forward_s"] for worker in workers) / busy if busy else 0.0
