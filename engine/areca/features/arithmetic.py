"""Arithmetic of formulas: float32, operator by operator, NaN where not defined.

Operators are taken in Python's order (`**`, then `*` and `/`, then `+` and `-`, from
the left), each rounded to float32, so a value does not depend on block or settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Values = NDArray[np.float32]


def _divide(left: Values, right: Values, out: Values | None = None) -> Values:
    out = np.asarray(np.divide(left, right, out=out))
    # What is divided by an overflow would be 0.
    for odd in (right == 0, np.isinf(right)):
        _undefined(out, odd)
    return out


def _power(base: Values, exponent: Values, out: Values | None = None) -> Values:
    out = np.asarray(np.power(base, exponent, out=out))
    # NaN ** 0 and 1 ** NaN are 1, and what is missing must not become a number.
    _undefined(out, np.isnan(base) | np.isnan(exponent) | np.isinf(out))
    return out


def _log(value: Values, out: Values | None = None) -> Values:
    out = np.asarray(np.log(value, out=out))
    _undefined(out, value <= 0)
    return out


def _undefined(out: Values, odd: NDArray[np.bool_]) -> None:
    """Make values NaN, in place; looking whether there are any is the cheaper part."""
    if odd.any():
        np.copyto(out, np.nan, where=odd)


ELEMENTWISE: dict[str, tuple[int, Callable[..., Values]]] = {
    "+": (2, np.add),
    "-": (2, np.subtract),
    "*": (2, np.multiply),
    "/": (2, _divide),
    "**": (2, _power),
    "negative": (1, np.negative),
    "sqrt": (1, np.sqrt),
    "log": (1, _log),
    "exp": (1, np.exp),
    "abs": (1, np.abs),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
}
"""Number of arguments and function of each operator; it may be told where to put its
values, `out`."""
