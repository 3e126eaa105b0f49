"""Terrain, texture and filters of whole cubes: `stack_features`, by family.

Each function writes down what `stack_features` is to compute and returns that, so there
is one way from a cube to a feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from areca.errors import BandError
from areca.features.expression import with_names
from areca.features.functions import NEIGHBOURHOODS
from areca.features.lineage import lineage, traced
from areca.features.resolve import resolve_all
from areca.features.stack import stack_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from areca.features.functions import Group


def terrain(
    dem: xr.DataArray, measures: Sequence[str] = ("slope", "aspect"), **options: float
) -> xr.DataArray:
    """Describe the lie of the land; nothing is computed.

    Args:
        dem: Heights, dims (y, x) or (band, y, x) with one band, and a CRS.
        measures: Of slope and aspect (degrees), northness, eastness, hillshade (1 to
            255), tpi, tri and roughness (m).
        options: `z`, metres in a unit of height (1); for hillshade also `azimuth` (315)
            and `altitude` (45) of the sun, degrees.

    Returns:
        Dims (band, y, x), bands as the measures, float32, NaN where a height or one of
        its eight neighbours is missing.

    Raises:
        BandError: There is no such measure or option, or there are several bands.
        GridError: The raster has no CRS or is not north-up.
    """  # noqa: DOC502 - GridError comes from stack_features
    if "band" not in dem.dims:
        dem = dem.drop_vars("band", errors="ignore").expand_dims(band=["dem"])
    if dem.sizes["band"] != 1:
        raise BandError(
            f"terrain takes heights, one band, and got {list(dem.band.values)}; choose "
            "one, for example cube.sel(band=['dem'])"
        )
    dem = dem.assign_coords(band=["dem"])
    return _family("terrain", dem, measures, options)


def texture(
    cube: xr.DataArray, measures: Sequence[str], **options: float
) -> xr.DataArray:
    """Describe the surroundings of each pixel; nothing is computed.

    Args:
        cube: Dims (band, y, x) with a CRS.
        measures: Of mean, std, range, entropy; contrast, dissimilarity, homogeneity,
            correlation, asm, energy (grey-level co-occurrence); sobel, gradient, lbp.
        options: `window` (edge in pixels, odd); `low` and `high`, the range of values,
            and `levels` (16) for entropy and co-occurrence; `distance` (1) of pairs.

    Returns:
        Dims (band, y, x), float32: each measure of each band, called `nir_std`; NaN
        where the pixel is missing. Missing neighbours are left out.

    Raises:
        BandError: There is no such measure or option, or a range is missing.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by the helpers
    return _family("texture", cube, measures, options)


def enhance(cube: xr.DataArray, how: str, **options: float) -> xr.DataArray:
    """Smooth, sharpen or even out every band; nothing is computed.

    Args:
        cube: Dims (band, y, x) with a CRS.
        how: gaussian (`sigma`), median (`window`), sharpen (`sigma`, `amount`) or clahe
            (`low`, `high`, `cell`, `clip`).
        options: As above, in pixels.

    Returns:
        Dims (band, y, x), float32, the bands of the cube; NaN where a pixel is missing.

    Raises:
        BandError: There is no such filter or option, or a range is missing.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by the helpers
    return _family("filter", cube, [how], options, suffix=False)


def _family(
    group: Group,
    cube: xr.DataArray,
    measures: Sequence[str],
    options: dict[str, float],
    *,
    suffix: bool = True,
) -> xr.DataArray:
    """Return each measure of each band; a measure takes the options that it has.

    Raises:
        BandError: There is no such measure or option.
    """
    offered = [name for name, one in NEIGHBOURHOODS.items() if one.group == group]
    if isinstance(measures, str) or not measures or set(measures) - set(offered):
        raise BandError(
            f"{group} has {', '.join(offered)}, and got {measures!r}; give a list, for "
            f"example [{offered[0]!r}]"
        )
    taken = {name for measure in measures for name in NEIGHBOURHOODS[measure].options}
    if set(options) - taken:
        raise BandError(
            f"{', '.join(sorted(set(options) - taken))} is no option of "
            f"{', '.join(NEIGHBOURHOODS[measure].usage for measure in measures)}"
        )
    bands = [str(name) for name in cube.band.values]
    # Bands of a cube may be called anything; formulas want plain names.
    plain = [f"band{number}" for number in range(len(bands))]
    texts, names = [], []
    for band, name in zip(plain, bands, strict=True):
        for measure in measures:
            given = [
                f"{key}={float(value)!r}"
                for key, value in options.items()
                if key in NEIGHBOURHOODS[measure].options
            ]
            texts.append(f"{measure}({', '.join([band, *given])})")
            single = group == "terrain"
            names.append(measure if single else f"{name}_{measure}" if suffix else name)
    stacked = stack_features(cube.assign_coords(band=plain), texts)
    made, called = resolve_all(texts, plain), dict(zip(plain, bands, strict=True))
    trees = [with_names(one.tree, called) for one in made]
    return traced(
        stacked.assign_coords(band=names),
        dict(zip(names, trees, strict=True)),
        lineage(cube),
    )
