"""What is one segment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from areca.errors import BandError
from areca.features.mean_shift import MeanShift


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentOptions:
    """How `areca.fit_segments` divides a region.

    Attributes:
        spectral_radius: Pixels that are alike lie no further apart: the Euclidean
            distance over all bands, in their unit.
        spatial_radius: How far mean shift looks each time, pixels.
        iterations: How often mean shift moves all pixels.
        join_distance: Neighbours that lie no further apart after mean shift are one
            segment; None for half the spectral radius.
        max_segment_size: Pixels; larger segments are cut along the lines of a lattice,
            into cells that have no more. None for no limit.
        min_segment_size: Pixels; smaller segments, and what is left of those that are
            cut, go to the neighbour that they differ least from at the border, which
            may then have more than the largest size. One without a neighbour stays.
    """

    spectral_radius: float
    spatial_radius: int = 3
    iterations: int = 5
    join_distance: float | None = None
    max_segment_size: int | None = None
    min_segment_size: int = 1

    def __post_init__(self) -> None:
        self.stage(("band",))
        if not 0 < self.joined_within < np.inf:
            raise BandError(
                f"join_distance must be more than 0, got {self.join_distance}: it is "
                "a distance in the unit of the bands"
            )
        if self.min_segment_size < 1:
            raise BandError(
                f"min_segment_size must be 1 pixel or more, got {self.min_segment_size}"
                "; 1 leaves all segments as they are"
            )
        if self.max_segment_size is not None and self.max_segment_size < 1:
            raise BandError(
                f"max_segment_size must be 1 pixel or more, got {self.max_segment_size}"
                "; leave it out for no limit"
            )
        if self.max_segment_size and self.max_segment_size < self.min_segment_size:
            raise BandError(
                f"max_segment_size={self.max_segment_size} is less than "
                f"min_segment_size={self.min_segment_size}; make it larger"
            )

    @property
    def joined_within(self) -> float:
        """Distance of neighbours that belong together."""
        given = self.join_distance
        return self.spectral_radius / 2 if given is None else given

    @property
    def cell_px(self) -> int | None:
        """Edge of the cells that large segments are cut into; None for no limit."""
        most = self.max_segment_size
        return None if most is None else math.isqrt(most)

    def stage(self, bands: tuple[str, ...]) -> MeanShift:
        """Return the filter.

        Args:
            bands: Names of the bands of a cube.
        """
        return MeanShift(
            bands=bands,
            spectral_radius=self.spectral_radius,
            spatial_radius=self.spatial_radius,
            iterations=self.iterations,
        )
