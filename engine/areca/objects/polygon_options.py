"""How the regions of a class raster become polygons."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from areca.errors import InputError
from areca.objects.simplify import CELL_PX
from areca.objects.stitch import MOST_VERTICES


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonOptions:
    """What is done to regions before they are published; nothing by default.

    In this order: small regions are left out, holes filled, outlines simplified or
    regularised. Size, holes and right angles are a matter of each region alone;
    simplification is one of all regions together, as they share their borders.

    Attributes:
        min_area_m2: Regions smaller than this on the ground are left out. Their ground
            becomes nobody's: it is not given to a neighbour.
        fill_holes_m2: Holes smaller than this on the ground are filled; `math.inf`
            fills all. Regions inside such a hole stay objects of their own, and then
            overlap it: with a `min_area_m2` at least as large there are none.
        simplify_px: Takes out corners whose triangle with their neighbours is smaller
            than the square of this, in pixels (Visvalingam and Whyatt 1993; GEOS
            `coverage_simplify`). A border is simplified once for both sides, so no gaps
            and no overlaps arise; where three regions meet, and on the lines of fixed
            cells of 512 pixels, corners stay. From 0.75 on the stairs of oblique edges
            go; a region of less than about twice as many pixels across becomes a
            triangle.
        regularize_px: Draws outlines with right angles along the main direction of each
            region, for buildings; corners may move by about this many pixels (1 to 2
            suit buildings of 20 pixels and more). Neighbours may then overlap a little,
            or part. Outlines that right angles do not fit stay as they are, see the
            column `regularized`.
        most_vertices: A region of more vertices stays in pieces, one a block, that
            share one `object_id` (`is_piece`). Pieces are never left out, filled or
            regularised.
        block_px: Edge of the blocks that are worked on: more memory, less overhead, the
            same polygons. With `simplify_px` a multiple of 512.
    """

    min_area_m2: float = 0.0
    fill_holes_m2: float = 0.0
    simplify_px: float = 0.0
    regularize_px: float = 0.0
    most_vertices: int = MOST_VERTICES
    block_px: int = 2048

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if math.isnan(value) or value < 0:
                raise InputError(f"{field.name}={value}; give 0 (off) or more")
        for name in ("simplify_px", "regularize_px"):
            if math.isinf(getattr(self, name)):
                raise InputError(f"{name}=inf leaves no outline; give pixels")
        if self.simplify_px and self.regularize_px:
            raise InputError(
                f"simplify_px={self.simplify_px} and regularize_px="
                f"{self.regularize_px}: right angles do not keep shared borders, so "
                "only one of the two can be had"
            )
        if self.most_vertices < 4:
            raise InputError(
                f"most_vertices={self.most_vertices}, but a pixel has four corners; "
                "give a limit of memory, such as 1000000"
            )
        if self.block_px < 1 or (self.simplify_px and self.block_px % CELL_PX):
            raise InputError(
                f"block_px={self.block_px}; give at least 1, and with simplify_px a "
                f"multiple of {CELL_PX}: outlines are simplified in fixed cells"
            )
