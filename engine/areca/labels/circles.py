"""Labels as circles in the pixels of an image: the form that training works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.errors import LabelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True, kw_only=True, eq=False)
class CircleLabels:
    """Circles in pixels of one image; all arrays have shape (n,)."""

    x: NDArray[np.float64]
    """Column of the centre, px; the middle of the first pixel is 0.5."""
    y: NDArray[np.float64]
    """Row of the centre, px; the middle of the first pixel is 0.5."""
    radius: NDArray[np.float64]
    """Radius, px; NaN where the label has no size."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def xy(self) -> NDArray[np.float64]:
        """Centres, shape (n, 2), px."""
        return np.column_stack([self.x, self.y])

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> CircleLabels:
        """Return the circles of an index or a mask, copied."""
        return CircleLabels(x=self.x[index], y=self.y[index], radius=self.radius[index])

    @classmethod
    def join(cls, parts: Sequence[CircleLabels]) -> CircleLabels:
        """Return all circles of the parts, in their order."""
        return cls(
            x=np.concatenate([part.x for part in parts]),
            y=np.concatenate([part.y for part in parts]),
            radius=np.concatenate([part.radius for part in parts]),
        )

    @classmethod
    def none(cls) -> CircleLabels:
        """Return no circles."""
        return cls(x=np.empty(0), y=np.empty(0), radius=np.empty(0))

    def on(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which centres lie on a mask (height, width); outside it is False."""
        height, width = mask.shape
        col, row = np.floor(self.x).astype(int), np.floor(self.y).astype(int)
        inside = (col >= 0) & (row >= 0) & (col < width) & (row < height)
        found = np.zeros(len(self), bool)
        found[inside] = mask[row[inside], col[inside]]
        return found


def circles_of(labels: gpd.GeoDataFrame, geobox: GeoBox) -> CircleLabels:
    """Turn label geometries into circles in the pixels of an image.

    A box becomes the circle that has the area of its inscribed ellipse, any other
    polygon the circle of its own area. A bounding circle would overstate the radius
    of a round crown, and so would the circle of the box's area (by 12.8 %).

    Args:
        labels: Points, boxes or polygons in the CRS of the image.
        geobox: Grid of the image.

    Returns:
        One circle per row; radius NaN for points.

    Raises:
        LabelError: a geometry is a line.
    """
    shapes = np.asarray(labels.geometry.array, dtype=object)
    kinds = set(shapely.get_type_id(shapes).tolist())
    if not kinds <= {0, 3, 4, 6}:  # point, polygon, multipoint, multipolygon
        raise LabelError(
            f"labels must be points, boxes or polygons, got {set(labels.geom_type)}"
        )
    inverse = ~geobox.affine
    matrix = np.array([[inverse.a, inverse.b], [inverse.d, inverse.e]])
    shift = np.array([inverse.c, inverse.f])
    pixels = shapely.transform(shapes, lambda points: points @ matrix.T + shift)
    centre = shapely.centroid(pixels)
    area = shapely.area(pixels)
    x_min, y_min, x_max, y_max = shapely.bounds(pixels).T
    box_area = (x_max - x_min) * (y_max - y_min)
    # A box cut out of a 5 x 5 m polygon by 1e-6 is still a box.
    is_box = np.isclose(area, box_area, rtol=1e-6) & (area > 0)
    radius = np.where(is_box, np.sqrt(box_area) / 2, np.sqrt(area / np.pi))
    return CircleLabels(
        x=shapely.get_x(centre),
        y=shapely.get_y(centre),
        radius=np.where(area > 0, radius, np.nan),
    )
