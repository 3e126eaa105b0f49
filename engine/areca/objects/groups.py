"""Groups of numbered things: which belong together, which comes first, what adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import NDArray


def number_groups(
    count: int, one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number the connected groups of things in the order of their first members.

    Args:
        count: How many things there are.
        one: Shape (m,), one end of each link.
        other: Shape (m,), the other end.

    Returns:
        Number of the group of each thing, shape (count,).

    Example:
        >>> number_groups(4, np.array([3]), np.array([1]))
        array([0, 1, 2, 1])
    """
    if not count:
        return np.empty(0, np.int64)
    links = csr_array((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    _, found = connected_components(links, directed=False)
    first = first_of_each(found)
    rank: NDArray[np.int64] = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbers: NDArray[np.int64] = rank[found]
    return numbers


def first_of_each(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each group comes first.

    Args:
        groups: Group of each thing, shape (n,), numbered from 0 without gaps.

    Returns:
        Position of the first member of each group, shape (group,).
    """
    first = np.empty(int(groups.max(initial=-1)) + 1, np.int64)
    first[groups[::-1]] = np.arange(len(groups))[::-1]  # of equal ones the last stays
    return first


def add_up(groups: NDArray[np.int64], amounts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum of whole numbers in each group.

    Args:
        groups: Group of each thing, shape (n,), numbered from 0 without gaps.
        amounts: What each thing adds, shape (n,).

    Returns:
        Shape (group,).
    """
    total = np.zeros(int(groups.max(initial=-1)) + 1, np.int64)
    np.add.at(total, groups, amounts)
    return total
