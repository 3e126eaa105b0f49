"""The model card: every fact about a model that a run needs or a reader asks for."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from areca.models.card_checks import check_card
from areca.models.contracts import FAMILIES, Contract

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_DIGESTED_WHEN_SET = {
    "format": "safetensors",
    "background": None,
    "precision": "float32",
}
"""Fields younger than the first cards, and the value at which they change nothing."""


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
    """Name of the architecture, a key of `areca.models.contracts.FAMILIES`."""
    architecture_options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that rebuild the network. For the architecture "file": "contract", and
    "phase_px" where it is not 32."""
    bands: tuple[str, ...]
    """Names of the input bands, in order."""
    resolution_m: float
    """Ground pixel that the model was trained at, m."""
    tile_px: int
    """Edge of the padded model tile, px."""
    context_px: int
    """Ground that a prediction needs to see beyond half an object, px (measured)."""
    margin_px: int = 4
    """How far outside its core a tile still offers candidates, px; 0 for logits."""
    max_object_px: int
    """Diameter of the largest object, px; 0 for logits."""
    mean: tuple[float, ...]
    """Mean of each band, in band units."""
    std: tuple[float, ...]
    """Standard deviation of each band, in band units."""
    labels: tuple[str, ...]
    """Class names; a detection's label is an index into this. Detectors have no class
    for the background, logits have all their classes."""
    background: int | None = None
    """Class of a logits model that is no object; None where every class is one."""
    score_threshold: float
    """Detections below this score are dropped; chosen on validation ground."""
    nms_iou: float
    """Two objects of one class whose bounding squares have a larger intersection over
    union than this are one."""
    resolve: str = "nms"
    """How duplicates are resolved: "nms" or "peaks"."""
    weights: str = "weights.safetensors"
    """File name of the weights, beside the card."""
    format: str = "safetensors"
    """Format of the weights file, a key of `areca.models.contracts.FORMATS`."""
    precision: str = "float32"
    """Numbers of a forward pass: "float32", or "bf16" where a test of these very
    weights allows it."""
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
        check_card(self)

    @property
    def contract(self) -> Contract:
        """What the model gives."""
        known = FAMILIES[self.architecture].contract
        given: Contract = known or self.architecture_options["contract"]
        return given

    @property
    def stride(self) -> int:
        """Input pixels per output cell."""
        return FAMILIES[self.architecture].stride

    @property
    def phase_px(self) -> int:
        """Step to which core and halo are bound, px."""
        known = FAMILIES[self.architecture].phase_px
        if FAMILIES[self.architecture].contract is not None:
            return known
        return int(self.architecture_options.get("phase_px", known))

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
        for name, unset in _DIGESTED_WHEN_SET.items():
            if getattr(self, name) != unset:
                facts[name] = getattr(self, name)
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)
