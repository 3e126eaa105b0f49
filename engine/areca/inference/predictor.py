"""A model on a lattice: what a block reads, and how far its answers reach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from areca.features import FeatureStack

if TYPE_CHECKING:
    from areca.inference.options import MergePolicy, PredictOptions
    from areca.models.contracts import Contract
    from areca.models.handle import Model
    from areca.tiles import Lattice, Tile, Window


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """All that a block task must know of a model, light enough to send."""

    model: Model
    """Handle of the model."""
    lattice: Lattice
    """Where its tiles lie."""
    options: PredictOptions
    """How to run it."""

    @property
    def contract(self) -> Contract:
        """What the model gives: "heatmap", "boxes", "masks" or "logits"."""
        return self.model.card.contract

    @property
    def is_dense(self) -> bool:
        """Whether the model gives a class to every pixel."""
        return self.contract == "logits"

    @property
    def ring_px(self) -> int:
        """How far beyond its core a tile changes pixels of the rasters.

        Zero where rasters are cut at the cores; otherwise a block also predicts the
        tiles around it that reach into it.
        """
        if self.is_dense:
            return self.options.blend_px
        return math.ceil(self.reach_px) if self.rasters else 0

    @property
    def ring_tiles(self) -> int:
        """Tiles beyond each side of a block that it predicts as well."""
        return -(-self.ring_px // self.lattice.core_px)

    @property
    def halo_px(self) -> int:
        """Pixels beyond each side of a block that its tiles and features see."""
        return self.tiles_halo_px + self.features.halo_px

    @property
    def tiles_halo_px(self) -> int:
        """Pixels beyond each side of a block that its tiles see."""
        return self.ring_tiles * self.lattice.core_px + self.model.card.halo_px

    @property
    def features(self) -> FeatureStack:
        """What the model's bands are made of."""
        return FeatureStack(self.model.card.bands)

    @property
    def reach_px(self) -> float:
        """How far beyond the core of its tile the box of a candidate can lie."""
        card = self.model.card
        return card.max_object_px / 2 + card.margin_px

    @property
    def twice_share(self) -> float:
        """Share of the model's pixels that are computed twice, for halos, 0 to 1."""
        card = self.model.card
        rows = self.options.block_tiles
        ringed = rows + 2 * self.ring_tiles
        return 1 - (rows / ringed * card.core_px / card.tile_px) ** 2

    @property
    def influence_px(self) -> int:
        """How far a candidate can change what becomes of others, save in long chains.

        Two largest objects (it falls on a rival, which spares the next) and the margin.
        """
        card = self.model.card
        return 2 * card.max_object_px + card.margin_px + self.ring_px

    @property
    def overlap(self) -> float:
        """Intersection over union above which the weaker of two boxes falls."""
        given = self.options.nms_overlap
        return self.model.card.nms_iou if given is None else given

    @property
    def threshold(self) -> float:
        """Lowest score of a detection."""
        given = self.options.threshold
        return self.model.card.score_threshold if given is None else given

    @property
    def merge_policy(self) -> MergePolicy:
        """How views, and tiles that fade into each other, become one."""
        return self.options.merge_policy or ("mean" if self.is_dense else "max")

    @property
    def rasters(self) -> dict[str, str]:
        """Name and NumPy type of each raster that a block gives."""
        if self.is_dense:
            layers = dict.fromkeys(self.options.confidence, "float32")
            return {"label": "uint8", **layers}
        return {"score": "float32"} if "score" in self.options.confidence else {}

    @cached_property
    def skipped(self) -> frozenset[int]:
        """Classes of a dense model that are no objects."""
        card = self.model.card
        named = set(range(len(card.labels)))
        if self.options.classes is not None:
            named = {card.labels.index(name) for name in self.options.classes}
        dropped = set(range(len(card.labels))) - named
        return frozenset(
            dropped if card.background is None else {*dropped, card.background}
        )

    def tiles_around(self, window: Window) -> list[Tile]:
        """Return the tiles that change a block's pixels, in one fixed order.

        Args:
            window: The cores of the block's tiles.
        """
        return list(self.lattice.tiles(window.grow(self.ring_px)))
