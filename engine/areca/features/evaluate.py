"""Trees of features to pixels; nothing is computed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from areca.features.arithmetic import ELEMENTWISE
from areca.features.expression import Call, Name, Number
from areca.features.functions import NEIGHBOURHOODS
from areca.features.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from areca.features.expression import Tree
    from areca.tiles import Place


class Evaluation:
    """The features of one block; those that share a part compute it once."""

    def __init__(
        self, bands: Mapping[str, NDArray[np.float32]], place: Place | None
    ) -> None:
        """Take the pixels of a block.

        Args:
            bands: Shape (height, width) each, NaN where missing.
            place: Where they lie, halo included; None where that is not known.
        """
        self._bands = bands
        self._place = place
        self._layers: dict[Tree, Layer] = {}
        self._values: dict[Tree, NDArray[np.float32]] = {}

    def values(self, tree: Tree) -> NDArray[np.float32]:
        """Return the pixels of a resolved tree, not to be written to.

        Args:
            tree: Of `areca.features.resolve`.

        Returns:
            Shape (height, width), NaN where a band is missing or the formula is not
            defined. Nearer to the edge than the tree reaches they are provisional.
        """
        if isinstance(tree, Name):
            return self._bands[tree.text]
        if isinstance(tree, Number):
            return np.asarray(tree.value, np.float32)
        if tree not in self._values:
            self._values[tree] = self._call(tree)
        return self._values[tree]

    def _call(self, tree: Call) -> NDArray[np.float32]:
        function = NEIGHBOURHOODS.get(tree.function)
        if function is not None:
            return function.compute(self._layer(tree.arguments[0]), dict(tree.options))
        _, operator = ELEMENTWISE[tree.function]
        arguments = [self.values(each) for each in tree.arguments]
        with np.errstate(all="ignore"):  # what is not defined becomes NaN
            return np.asarray(operator(*arguments), np.float32)

    def _layer(self, tree: Tree) -> Layer:
        if tree not in self._layers:
            self._layers[tree] = Layer(self.values(tree), self._place)
        return self._layers[tree]
