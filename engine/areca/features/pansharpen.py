"""Pansharpening: the detail of a panchromatic band for the colours of coarser ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from areca.errors import BandError
from areca.features.expression import with_names
from areca.features.lineage import lineage, traced
from areca.features.resolve import resolve_all
from areca.features.stack import stack_features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

PAN = "pan"


def pansharpen(
    cube: xr.DataArray,
    *,
    pan: str = PAN,
    weights: Mapping[str, float] | None = None,
) -> xr.DataArray:
    """Give coloured bands the detail of a panchromatic one; nothing is computed.

    The weighted Brovey transform (Gillespie, Kahle & Walker 1987, doi
    10.1016/0034-4257(87)90088-5), as `gdal_pansharpen` has it: each band times pan and
    divided by the weighted sum of the bands. Ratios of bands stay as they were.

    `areca.open_cube(items, bands=["pan", "red", "green", "blue"])` brings the bands to
    the finest pixels among them, those of pan.

    Args:
        cube: Dims (band, y, x) with a CRS.
        pan: Name of the panchromatic band.
        weights: What each band counts in the sum that stands for pan, usually 1 in
            all; a band that is left out, such as a near infrared that pan does not
            see, counts nothing and is sharpened all the same. All bands alike when
            left out.

    Returns:
        Dims (band, y, x) without pan, float32; NaN where pan, the band or one that
        counts is missing, and where the weighted sum is 0 (GDAL: 0).

    Raises:
        BandError: There is no such band, none beside pan, or a weight cannot be.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - GridError comes from stack_features
    names = [str(name) for name in cube.band.values]
    if pan not in names or len(names) < 2:
        raise BandError(
            f"pansharpening needs a panchromatic band and others, got {names} and "
            f"pan={pan!r}; open the cube with all of them, or name it"
        )
    sharp = [name for name in names if name != pan]
    shares = _shares(sharp, weights)
    # Bands of a cube may be called anything; formulas want plain names.
    plain = [f"band{number}" for number in range(len(names))]
    short = dict(zip(names, plain, strict=True))
    total = " + ".join(f"{share!r} * {short[name]}" for name, share in shares.items())
    texts = [f"{short[name]} * ({short[pan]} / ({total}))" for name in sharp]
    made = stack_features(cube.assign_coords(band=plain), texts)
    called = dict(zip(plain, names, strict=True))
    trees = [with_names(one.tree, called) for one in resolve_all(texts, plain)]
    return traced(
        made.assign_coords(band=sharp),
        dict(zip(sharp, trees, strict=True)),
        lineage(cube),
    )


def _shares(
    bands: Sequence[str], weights: Mapping[str, float] | None
) -> dict[str, float]:
    """Return the weights of the bands that count.

    Raises:
        BandError: One is of no band, less than 0 or no number, or all are 0.
    """
    given = dict.fromkeys(bands, 1 / len(bands)) if weights is None else dict(weights)
    wrong = {
        name: weight
        for name, weight in given.items()
        if name not in bands or not math.isfinite(weight) or weight < 0
    }
    counts = {name: float(weight) for name, weight in given.items() if weight}
    if wrong or not counts:
        raise BandError(
            f"weights {wrong or given} cannot be: give numbers of 0 or more, not all "
            f"0, for bands among {', '.join(bands)}"
        )
    return counts
