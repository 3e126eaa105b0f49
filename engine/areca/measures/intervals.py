"""Intervals of counts, from how a model scored on ground that was held back.

Two things are not known of n objects that a model found somewhere: how many of them are
none, and how many it missed. The scores say it for the test ground, as numbers of
trials: of `n_found` objects so many were confirmed by a label, of `n_true` labels so
many were found. The interval is

    low   the lower quantile of how many of n objects a label would confirm
    high  the largest number of objects of which n or fewer are found, but for the tail

The low end takes every object that no label confirms for false, the high end none. So
the interval holds where test labels are complete, and also where they miss objects that
the model finds (precision is then an understatement); it is wide where that matters.
Numbers in a new sample have a beta-binomial distribution with Jeffreys' prior (Brown,
Cai, DasGupta 2001, Statistical Science 16, 101; Gelman et al., Bayesian Data Analysis,
2.4), computed as the beta distribution of equal mean and variance; the high end inverts
it as Clopper and Pearson (1934, Biometrika 26, 404) do.
Objects are taken as independent and the ground as like the test ground. Where errors
come in clusters, or the ground is another, the truth may lie outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import betainc, betaincinv

from areca.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEST = "test"
"""Name of the ground in the scores of a card that neither trained nor chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountCalibration:
    """How a model scored on test ground, as numbers of trials.

    Attributes:
        n_found: Objects found on the ground.
        n_confirmed: Those that have a label.
        n_true: Labels on the ground.
        n_matched: Those that have an object.
        level: Probability that an interval shall have.
    """

    n_found: int
    n_confirmed: int
    n_true: int
    n_matched: int
    level: float = 0.95

    def __post_init__(self) -> None:
        sound = 0 <= self.n_confirmed <= self.n_found and self.n_found > 0
        sound &= 0 < self.n_matched <= self.n_true
        if not (sound and 0 < self.level < 1):
            raise InputError(
                f"{self} cannot be: confirmed objects are some of those found, matched "
                "labels some of those there are, and the level lies between 0 and 1"
            )

    @classmethod
    def of_scores(
        cls, scores: Mapping[str, Any], *, level: float = 0.95
    ) -> CountCalibration | None:
        """Return the calibration in the scores of a model card.

        Args:
            scores: `ModelCard.scores`: scores by ground, each a `DetectionScores` or
                parts of the ground that have one. Every part named "test" counts.
            level: Probability that an interval shall have.

        Returns:
            The sum over test grounds; None where no test ground has counts of labels
            and of objects: then nothing is known of counts.
        """
        tests = [s for s in _tests(scores) if s["n_found"] and s["n_matched"]]
        if not tests:
            return None
        return cls(
            n_found=sum(s["n_found"] for s in tests),
            n_confirmed=sum(round(s["precision"] * s["n_found"]) for s in tests),
            n_true=sum(s["n_true"] for s in tests),
            n_matched=sum(s["n_matched"] for s in tests),
            level=level,
        )

    def interval(
        self, counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return between how many objects there are where so many were found.

        Args:
            counts: Objects found, shape (n,).

        Returns:
            Low and high ends, shape (n,) each, whole numbers. Where nothing is found,
            the high end is what a model may miss altogether.
        """
        found = np.asarray(counts, np.int64)
        tail = (1 - self.level) / 2
        confirmed = _Share(hits=self.n_confirmed, trials=self.n_found)
        recall = _Share(hits=self.n_matched, trials=self.n_true)
        return confirmed.low_number(found, tail), recall.most_trials(found, tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """A share that is known from a number of trials."""

    hits: int
    trials: int

    def low_number(self, size: NDArray[np.int64], tail: float) -> NDArray[np.int64]:
        """Return the lower quantile of the hits in new samples of some sizes."""
        share = betaincinv(*self._beta(size), tail)
        return np.asarray(np.floor(size * share), np.int64)

    def most_trials(self, hits: NDArray[np.int64], tail: float) -> NDArray[np.int64]:
        """Return the largest samples whose chance of so few hits is above a tail."""
        low, high = hits.copy(), 2 * hits + 8
        while (short := self._at_most(hits, high) > tail).any():
            low, high = np.where(short, high, low), np.where(short, 2 * high, high)
        while (high - low > 1).any():
            middle = (low + high) // 2
            likely = self._at_most(hits, middle) > tail
            low, high = np.where(likely, middle, low), np.where(likely, high, middle)
        return low

    def _at_most(
        self, hits: NDArray[np.int64], size: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the probability of so many hits or fewer."""
        share = np.minimum((hits + 0.5) / np.maximum(size, 1), 1.0)
        return np.asarray(betainc(*self._beta(size), share))

    def _beta(
        self, size: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the beta distribution of the share of hits in new samples.

        The share K/n of a beta-binomial K with parameters a and b has the mean
        a / (a + b), and the variance of a beta distribution over
        (a + b + 1) n / (a + b + n) - 1 trials.
        """
        a, b = self.hits + 0.5, self.trials - self.hits + 0.5
        size = np.maximum(size, 1)
        weight = (a + b + 1) * size / (a + b + size) - 1
        weight = np.maximum(weight, 1e-3)  # a sample of one has a share of 0 or 1
        return weight * a / (a + b), weight * b / (a + b)


def _tests(scores: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the scores of all test grounds that count labels and objects."""
    needed = ("n_found", "n_true", "n_matched", "precision")
    found: list[Mapping[str, Any]] = []
    for name, value in scores.items():
        if not isinstance(value, Mapping):
            continue
        if name == TEST and all(value.get(key) is not None for key in needed):
            found.append(value)
        elif name != TEST:
            found += _tests(value)
    return found
