"""Trees of features to pixels: a plan made once, then steps on arrays.

A block is worked through in strips that stay in the cache of the processor, so what is
known beforehand (which parts features share, what nobody needs any more) is not asked
again for each strip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from areca.features.arithmetic import ELEMENTWISE
from areca.features.expression import Call, Name, Number
from areca.features.functions import NEIGHBOURHOODS
from areca.features.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from areca.features.expression import Tree
    from areca.tiles import Place

    Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Step:
    """One operator or function of a plan."""

    call: Call
    arguments: tuple[int, ...]
    """Positions of the values that it takes."""
    features: tuple[int, ...]
    """Which features its value is."""
    is_result: bool
    """Whether the value is one feature and nothing else needs it."""
    spent: tuple[int, ...]
    """Positions of the values that no later step takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the features of a stack are computed; each part once, inner before outer."""

    leaves: tuple[Name | Number, ...]
    """Bands and constants: the first values."""
    steps: tuple[_Step, ...]
    """What gives the values after them, in order."""
    copies: tuple[tuple[int, int], ...]
    """Features that are bands as they are, and the positions of these."""

    def run(
        self, bands: Mapping[str, Values], place: Place | None, out: Values
    ) -> None:
        """Compute the features of one block.

        Args:
            bands: Shape (height, width) each, NaN where missing, with a halo.
            place: Where they lie, halo included; None where that is not known.
            out: Where the features go, shape (feature, height, width) without the halo;
                NaN where a band is missing or a formula is not defined.
        """
        values = {k: _leaf(leaf, bands) for k, leaf in enumerate(self.leaves)}
        layers: dict[int, Layer] = {}
        halo = (next(iter(bands.values())).shape[0] - out.shape[1]) // 2
        inner = (slice(halo, halo + out.shape[1]), slice(halo, halo + out.shape[2]))
        for feature, position in self.copies:
            out[feature] = values[position][inner]
        for number, step in enumerate(self.steps, start=len(self.leaves)):
            into = out[step.features[0]] if step.is_result and not halo else None
            value = _value(step, values, layers, place, into)
            for feature in step.features:
                if value is not into:
                    out[feature] = value[inner]
                without_overflow(out[feature])
            values[number] = value
            for position in step.spent:
                del values[position]
                layers.pop(position, None)


def plan_of(trees: Sequence[Tree]) -> Plan:
    """Return how features are computed.

    Args:
        trees: Of `areca.features.resolve`, in the order of the features.
    """
    parts: dict[Tree, None] = {}
    for tree in trees:
        _gather(tree, parts)
    calls = [part for part in parts if isinstance(part, Call)]
    leaves = tuple(part for part in parts if not isinstance(part, Call))
    position = {part: number for number, part in enumerate((*leaves, *calls))}
    taken = [tuple(position[part] for part in call.arguments) for call in calls]
    last = {place: number for number, places in enumerate(taken) for place in places}
    steps = []
    for number, (call, arguments) in enumerate(zip(calls, taken, strict=True)):
        features = tuple(k for k, tree in enumerate(trees) if tree == call)
        steps.append(
            _Step(
                call=call,
                arguments=arguments,
                features=features,
                is_result=len(features) == 1 and position[call] not in last,
                spent=tuple(p for p in set(arguments) if last[p] == number),
            )
        )
    copies = tuple(
        (k, position[tree]) for k, tree in enumerate(trees) if isinstance(tree, Name)
    )
    return Plan(leaves, tuple(steps), copies)


def without_overflow(layer: Values) -> None:
    """Make infinite values of a feature NaN, in place: it is not defined there."""
    odd = np.isinf(layer)
    if odd.any():
        np.copyto(layer, np.nan, where=odd)


def _gather(tree: Tree, parts: dict[Tree, None]) -> None:
    if isinstance(tree, Call):
        for argument in tree.arguments:
            _gather(argument, parts)
    parts.setdefault(tree)


def _leaf(leaf: Name | Number, bands: Mapping[str, Values]) -> Values:
    if isinstance(leaf, Name):
        return bands[leaf.text]
    return np.asarray(leaf.value, np.float32)


def _value(
    step: _Step,
    values: Mapping[int, Values],
    layers: dict[int, Layer],
    place: Place | None,
    into: Values | None,
) -> Values:
    """Return the value of a step, in `into` where that is given and can be used."""
    call, first = step.call, step.arguments[0]
    function = NEIGHBOURHOODS.get(call.function)
    if function is not None:
        if first not in layers:
            layers[first] = Layer(values[first], place)
        return function.compute(layers[first], dict(call.options))
    _, operator = ELEMENTWISE[call.function]
    arguments = [values[position] for position in step.arguments]
    with np.errstate(all="ignore"):  # what is not defined becomes NaN
        return np.asarray(operator(*arguments, out=into), np.float32)
