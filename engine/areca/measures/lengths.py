"""Lengths by zone or cell, counted by the millimetre: parts add up, quantiles stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MILLIMETRES = 1e3


def _none() -> pd.Series[int]:
    levels = [np.empty(0, np.int64), np.empty(0, np.int64)]
    return pd.Series(0, index=pd.MultiIndex.from_arrays(levels), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How many objects of each key have which length."""

    counts: pd.Series[int] = field(default_factory=_none)
    """Objects by key and length in millimetres, sorted by both."""

    @classmethod
    def of(cls, key: NDArray[np.int64], metres: NDArray[np.float64]) -> Lengths:
        """Return the lengths of some objects.

        Args:
            key: Zone or cell of each, shape (n,).
            metres: Shape (n,); NaN counts nowhere.
        """
        known = np.isfinite(metres)
        millimetres = np.rint(metres[known] * MILLIMETRES).astype(np.int64)
        ones = pd.Series(1, index=[key[known], millimetres], dtype=np.int64)
        return cls(counts=ones.groupby(level=[0, 1]).sum())

    @classmethod
    def join(cls, parts: Sequence[Lengths]) -> Lengths:
        """Return the lengths of all parts."""
        every = pd.concat([part.counts for part in parts])
        return cls(counts=every.groupby(level=[0, 1]).sum())

    def quantile(self, keys: NDArray[np.int64], share: float) -> NDArray[np.float64]:
        """Return a quantile of the lengths of each key, as numpy interpolates it.

        Args:
            keys: Shape (n,).
            share: 0.5 for the median.

        Returns:
            Shape (n,), m; NaN where a key has no length.
        """
        key, millimetres = self._levels()
        until = np.cumsum(self.counts.to_numpy(np.int64))
        start, end = (np.searchsorted(key, keys, side) for side in ("left", "right"))
        before = np.concatenate([[0], until])[start]
        last = np.concatenate([[0], until])[end] - before - 1
        found = np.full(len(keys), np.nan)
        some = last >= 0
        rank = share * last[some]
        lower, upper = (
            millimetres[np.searchsorted(until, before[some] + whole, side="right")]
            for whole in (np.floor(rank).astype(int), np.ceil(rank).astype(int))
        )
        found[some] = (lower + (upper - lower) * (rank % 1)) / MILLIMETRES
        return found

    def histogram(
        self, keys: NDArray[np.int64], edges: Sequence[float]
    ) -> NDArray[np.int64]:
        """Return how many lengths of each key lie below, between and above edges.

        Args:
            keys: Shape (n,).
            edges: Ascending, m.

        Returns:
            Shape (n, bar), one bar more than there are edges.
        """
        key, millimetres = self._levels()
        borders = np.rint(np.asarray(edges) * MILLIMETRES)
        bar = np.searchsorted(borders, millimetres, side="right")
        counts = pd.Series(self.counts.to_numpy(np.int64)).groupby([key, bar]).sum()
        wide = counts.unstack(fill_value=0).reindex(
            index=keys, columns=range(len(edges) + 1), fill_value=0
        )
        return wide.to_numpy(np.int64)

    def _levels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return key and millimetres of each count."""
        key, millimetres = (
            self.counts.index.get_level_values(level).to_numpy(np.int64)
            for level in (0, 1)
        )
        return key, millimetres
