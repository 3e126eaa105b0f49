"""Reflectances that come out negative: a sign that an offset was applied twice."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from areca.features.lineage import lineage

if TYPE_CHECKING:
    import xarray as xr

    from areca.features.statistics import Statistics

MANY = 0.1
"""Share of the pixels of a band from which on its negative ones are many. Deep water
after an atmospheric correction can have as many."""
NEGATIVE = "negative"
"""Attribute of a cube: share of negative pixels by band, where they are many."""
_SHOWN = 3
"""Items that a warning names at most."""


def negative_shares(cube: xr.DataArray, statistics: Statistics) -> dict[str, float]:
    """Return the share of negative pixels of bands where these are many.

    Args:
        cube: The cube that the statistics are of.
        statistics: Of `areca.fit_statistics`.

    Returns:
        Shares, 0 to 1, of bands that are read with an offset below 0.
    """
    found = {}
    for band, origin in lineage(cube).items():
        one = statistics.bands.get(band)
        shifted = any(source["offset"] < 0 for source in origin.get("sources", ()))
        if shifted and one is not None and one.negative >= MANY * one.count:
            found[band] = one.negative / one.count
    return found


def warn_of_negatives(cube: xr.DataArray, statistics: Statistics) -> None:
    """Say in one line that many reflectances are negative, where they are.

    Args:
        cube: The cube that was looked at.
        statistics: What was found.
    """
    shares = negative_shares(cube, statistics)
    if not shares:
        return
    origins = lineage(cube)
    sources = [one for band in shares for one in origins[band]["sources"]]
    shifted = [one for one in sources if one["offset"] < 0]
    items = list(dict.fromkeys(item for one in shifted for item in one["items"]))
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    told = ", ".join(f"{share:.0%} of {band}" for band, share in shares.items())
    scale, offset = shifted[0]["scale"], shifted[0]["offset"]
    warnings.warn(
        f"negative reflectances: {told} after scale {scale:g} and offset {offset:g} "
        f"(items {', '.join(items[:_SHOWN])}{more}). If this is no water, the pixels "
        "may have the offset applied already: open them with "
        f"CubeOptions(scale_offset={{'*': ({scale:g}, 0)}})",
        stacklevel=3,
    )
