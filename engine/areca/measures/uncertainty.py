"""How far area and radius of an object may be off, because an image has pixels.

A mask takes a pixel whose centre the object covers. Along an outline some pixels have
too much and some too little, which nearly cancels. For a smooth outline that lies at
random on the grid, the variance of the area is a constant times perimeter * pixel**3
(Kendall 1948, Quart. J. Math. 19:1; Hlawka 1950; in stereology Matheron's formula, with
0.0724 in Gundersen and Jensen 1987, J. Microscopy 147:229). The constant follows from
the Fourier series of the error over all positions of a disc of radius R in pixels,
R J1(2 pi R |m|) / |m| at each m of the lattice but 0. With J1(z)**2 ~ 1 / (pi z) in the
mean over R, the sum of squares is R / (2 pi**2) * sum |m|**-3, and that lattice sum is
4 zeta(3/2) beta(3/2) (Riemann and Dirichlet). Divided by 2 pi R:
zeta(3/2) beta(3/2) / pi**3 = 0.0728.

It says how much a pixel hides, not how well a model sees. What an evaluation tells of
that (the whole outline lies some centimetres out or in) is `edge_sigma_m`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import zeta

from areca.errors import InputError
from areca.measures.rings import edges_of

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from areca.measures.options import MeasureOptions
    from areca.measures.rings import Rings

ERRORS = ("area_sigma_m2", "radius_sigma_m")
"""The columns of errors: one standard deviation, as absolute values."""
PIXEL = "pixel_m"
"""Column that is looked for where no pixel size is given."""
BETA = (zeta(1.5, 0.25) - zeta(1.5, 0.75)) / 8
"""Dirichlet's beta function at 3/2."""
KENDALL = float(zeta(1.5) * BETA / np.pi**3)
"""Variance of the area of a mask over perimeter * pixel**3."""


def pixel_sizes(
    objects: gpd.GeoDataFrame, options: MeasureOptions
) -> NDArray[np.float64] | None:
    """Return the pixel size of each object on the ground, m, NaN where not known.

    Args:
        objects: The table.
        options: Names a size, a column or none.

    Returns:
        Shape (n,); None where neither says anything.

    Raises:
        InputError: the column is missing or holds no numbers.
    """
    size = options.pixel_m
    if isinstance(size, float | int):
        return np.full(len(objects), float(size))
    name = size or PIXEL
    if name not in objects:
        if size is None:
            return None
        raise InputError(
            f"pixel_m names the column {name!r}, and the table has "
            f"{list(objects.columns)}. Name one of these, or give a size in metres."
        )
    try:
        sizes = objects[name].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the column {name!r} holds {objects[name].dtype}, not sizes of pixels in "
            f"metres ({error}). Make it numbers, or name another column as pixel_m."
        ) from error
    return np.where(sizes > 0, sizes, np.nan)


def smooth_perimeter(rings: Rings, axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the perimeter of masks without the stairs that pixels make.

    That of Cauchy and Crofton, from how far all edges reach along the two axes of the
    image: pi/4 * sum(|dx| + |dy|). It is right for a smooth outline that looks in all
    directions, whether it was drawn smoothly or along the edges of pixels.

    Args:
        rings: Outlines in metres.
        axis: Direction of the image's x axis, radians from the east, shape (object,).

    Returns:
        m, shape (object,).
    """
    east, north = edges_of(rings)
    counts = rings.vertex_counts
    cosine, sine = (np.repeat(f(axis), counts) for f in (np.cos, np.sin))
    reach = np.abs(east * cosine + north * sine) + np.abs(north * cosine - east * sine)
    total = np.add.reduceat(reach, rings.starts[rings.firsts])
    return np.asarray(np.pi / 4 * total)


def ellipse_variance(
    width: NDArray[np.float64],
    length: NDArray[np.float64],
    pixel: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the variance of the area of ellipses in boxes, m4, that pixels bring in.

    Each of the four edges is rounded to a pixel, which is off by pixel / sqrt(12); so
    width and length are off by pixel / sqrt(6) each, and the area is pi/4 * width *
    length.

    Args:
        width: Shape (n,), m.
        length: Shape (n,), m.
        pixel: Size, m, shape (n,); NaN where not known.

    Returns:
        Shape (n,).
    """
    return np.asarray((np.pi / 4 * pixel) ** 2 / 6 * (width**2 + length**2))
