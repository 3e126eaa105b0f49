"""The model card: every fact about a model that a run needs or a reader asks for."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from areca.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

STRIDES = {"centre-radius": 4}
"""Input pixels per output cell of each architecture."""
PHASES = {"centre-radius": 8}
"""Pixels by which an image may be shifted without other rounding of its strides. The
deepest stride, not that of the output: shifted by 4 px, two thirds of the oil palms
moved by over a quarter pixel or 0.02 in score; shifted by 8 px, none."""

_DIGESTED = (
    "task",
    "architecture",
    "architecture_options",
    "bands",
    "resolution_m",
    "tile_px",
    "context_px",
    "margin_px",
    "max_object_px",
    "mean",
    "std",
    "labels",
    "score_threshold",
    "nms_iou",
    "resolve",
    "sha256",
)


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One trained model, as plain data; it checks itself when it is made."""

    name: str
    """Short name, for example "oil-palm"."""
    version: str
    """Version of the weights."""
    task: str = "object-detection"
    """MLM task name."""
    architecture: str = "centre-radius"
    """Name of the architecture, a key of `areca.models.card.STRIDES`."""
    architecture_options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that rebuild the network."""
    bands: tuple[str, ...]
    """Names of the input bands, in order."""
    resolution_m: float
    """Ground pixel that the model was trained at, m."""
    tile_px: int
    """Edge of the padded model tile, px."""
    context_px: int
    """Ground that a prediction needs to see beyond half an object, px (measured)."""
    margin_px: int = 4
    """How far outside its core a tile still offers candidates, px."""
    max_object_px: int
    """Diameter of the largest object, px."""
    mean: tuple[float, ...]
    """Mean of each band, in band units."""
    std: tuple[float, ...]
    """Standard deviation of each band, in band units."""
    labels: tuple[str, ...]
    """Class names; a detection's label is an index into this."""
    score_threshold: float
    """Detections below this score are dropped; chosen on validation ground."""
    nms_iou: float
    """Two objects of one class whose bounding squares have a larger intersection over
    union than this are one."""
    resolve: str = "nms"
    """How duplicates are resolved: "nms" or "peaks"."""
    weights: str = "weights.safetensors"
    """File name of the weights, beside the card."""
    sha256: str = ""
    """SHA-256 of the weights file, hex; empty before the weights are written."""
    parameters: int = 0
    """Number of trained parameters."""
    created: str = "1970-01-01T00:00:00Z"
    """When the recipe was fixed (RFC 3339); not the clock, so equal runs are equal."""
    footprint: tuple[float, float, float, float] | None = None
    """Bounds of the training ground in EPSG:4326: west, south, east, north."""
    description: str = ""
    """What the model finds, in which imagery, and where it fails."""
    data: str = ""
    """Training data and credit."""
    license: str = ""
    """Licence of the training data and the weights."""
    scores: Mapping[str, Any] = field(default_factory=dict)
    """Scores on held-back ground, by name of the ground."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Recipe, seed and versions that made the weights."""

    def __post_init__(self) -> None:
        if self.architecture not in STRIDES:
            raise ModelError(
                f"model {self.name!r}: architecture {self.architecture!r} is unknown; "
                f"this version has {', '.join(sorted(STRIDES))}"
            )
        if not (len(self.bands) == len(self.mean) == len(self.std)):
            raise ModelError(
                f"model {self.name!r}: {len(self.bands)} bands, {len(self.mean)} means "
                f"and {len(self.std)} deviations; give one of each per band"
            )
        if any(not value > 0 for value in self.std):
            raise ModelError(
                f"model {self.name!r}: std {self.std} must be above zero in every band"
            )
        if not (self.resolution_m > 0 and self.labels):
            raise ModelError(
                f"model {self.name!r}: resolution_m is {self.resolution_m} and labels "
                f"are {self.labels}; a positive pixel and at least one class are needed"
            )
        if self.resolve not in {"nms", "peaks"}:
            raise ModelError(
                f"model {self.name!r}: resolve is {self.resolve!r}; it must be "
                "'nms' or 'peaks'"
            )
        for name in ("score_threshold", "nms_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ModelError(
                    f"model {self.name!r}: {name} is {getattr(self, name)}; it must "
                    "lie between 0 and 1"
                )
        phase = self.phase_px
        if self.core_px <= 0 or self.core_px % phase or self.halo_px % phase:
            raise ModelError(
                f"model {self.name!r}: tile {self.tile_px} px with halo "
                f"{self.halo_px} px leaves a core of {self.core_px} px; core and halo "
                f"must be positive multiples of {phase}, so that all tiles meet the "
                "network's strides in the same phase"
            )

    @property
    def stride(self) -> int:
        """Input pixels per output cell."""
        return STRIDES[self.architecture]

    @property
    def phase_px(self) -> int:
        """Step to which core and halo are bound, px."""
        return PHASES[self.architecture]

    @property
    def halo_px(self) -> int:
        """Pixels that a tile reads on each side of its core."""
        return math.ceil(self.max_object_px / 2) + self.margin_px + self.context_px

    @property
    def core_px(self) -> int:
        """Edge of the part of a tile whose objects it owns, px."""
        return self.tile_px - 2 * self.halo_px

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over everything that changes predictions, weights included."""
        facts = {name: getattr(self, name) for name in _DIGESTED}
        facts["architecture_options"] = dict(self.architecture_options)
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)
