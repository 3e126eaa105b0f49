"""Band indices: formulas of a few bands, on plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BandIndex:
    """One index."""

    name: str
    bands: tuple[str, ...]
    """Bands that the formula takes, in its order."""
    formula: Callable[..., NDArray[np.float32]]
    source: str
    """Where the formula is from."""


def normalized_difference(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (first - second) / (first + second), -1 to 1 for values of one sign.

    Args:
        first: Any shape, NaN where missing.
        second: The same shape, the same unit.

    Returns:
        The same shape, NaN where either is missing or their sum is zero.
    """
    total = first + second
    out = np.full_like(total, np.nan)
    np.divide(first - second, total, out=out, where=total != 0)
    return out


INDICES: dict[str, BandIndex] = {
    "ndvi": BandIndex(
        name="ndvi",
        bands=("nir", "red"),
        formula=normalized_difference,
        source="Rouse et al. 1974, NASA SP-351, paper A 20",
    ),
    "gndvi": BandIndex(
        name="gndvi",
        bands=("nir", "green"),
        formula=normalized_difference,
        source="Gitelson, Kaufman & Merzlyak 1996, doi 10.1016/S0034-4257(96)00072-7",
    ),
}
"""The indices that can be asked for by name."""
