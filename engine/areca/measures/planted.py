"""How plants stand in each zone or cell: planting distance, pattern, nearest plant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from areca.measures.lengths import Lengths

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import geopandas as gpd
    from numpy.typing import NDArray

SPACED = ("nearest_m", "plant_spacing_m", "pattern")
"""Columns of `areca.spacing` that a summary tells of."""
PLANTED = (
    "plant_spacing_median_m", "pattern", "pattern_share", "nearest_median_m",
)  # fmt: skip
"""Columns of a summary that tell it."""
PATTERNS = ("triangular", "square", "rectangular", "oblique")
NO_PATTERN = ""


def _none() -> pd.DataFrame:
    index = pd.Index([], dtype=np.int64)
    return pd.DataFrame(0, index=index, columns=[*PATTERNS, NO_PATTERN], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """Counts of plants by what `areca.spacing` says of them; parts add up."""

    nearest: Lengths = field(default_factory=Lengths)
    spacing: Lengths = field(default_factory=Lengths)
    patterns: pd.DataFrame = field(default_factory=_none)
    """Plants of each key by pattern, one column each, the last for none."""

    @classmethod
    def of(
        cls,
        objects: gpd.GeoDataFrame,
        row: NDArray[np.intp],
        key: NDArray[np.int64],
    ) -> Planted:
        """Return the counts of a table with the columns `SPACED`.

        Args:
            objects: The table.
            row: Rows that belong to a key, shape (k,).
            key: Key of each, shape (k,).
        """
        nearest, spacing = (
            objects[name].to_numpy(np.float64, na_value=np.nan)[row]
            for name in SPACED[:2]
        )
        words = objects["pattern"].to_numpy(object, na_value=NO_PATTERN)[row]
        names = [*PATTERNS, NO_PATTERN]
        ones = pd.DataFrame({n: (words == n).astype(np.int64) for n in names})
        return cls(
            nearest=Lengths.of(key, nearest),
            spacing=Lengths.of(key, spacing),
            patterns=ones.groupby(key).sum(),
        )

    @classmethod
    def join(cls, parts: Sequence[Planted]) -> Planted:
        """Return the counts of all parts."""
        return cls(
            nearest=Lengths.join([part.nearest for part in parts]),
            spacing=Lengths.join([part.spacing for part in parts]),
            patterns=pd.concat([p.patterns for p in parts]).groupby(level=0).sum(),
        )

    def table(self, keys: NDArray[np.int64]) -> pd.DataFrame:
        """Return the columns `PLANTED` of some keys.

        Args:
            keys: Shape (n,).
        """
        counts = self.patterns.reindex(keys, fill_value=0).to_numpy(np.int64)
        most, every = counts[:, :-1].max(axis=1), counts.sum(axis=1)
        words = np.array(PATTERNS, object)[counts[:, :-1].argmax(axis=1)]
        shares = np.where(most > 0, most / np.maximum(every, 1), np.nan)
        return pd.DataFrame(
            {
                "plant_spacing_median_m": self.spacing.quantile(keys, 0.5),
                "pattern": np.where(most > 0, words, None),
                "pattern_share": shares,
                "nearest_median_m": self.nearest.quantile(keys, 0.5),
            }
        )


def is_spaced(columns: Collection[object]) -> bool:
    """Return whether a table has been through `areca.spacing`, by its columns."""
    return set(SPACED) <= set(columns)
