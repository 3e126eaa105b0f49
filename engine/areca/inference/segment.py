"""Logits of tiles to the class and confidence rasters of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from areca.inference.merge import MERGES, shares_of
from areca.inference.views import VIEWS
from areca.objects import NODATA, empty_candidates

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from areca.inference.passes import Pass
    from areca.inference.predictor import Predictor
    from areca.inference.session import Session
    from areca.tiles import Tile, Window


class Segmented:
    """Class scores of one block, filled tile by tile.

    Where tiles do not fade into each other, each pixel takes the scores of the one tile
    whose core holds it, and only the class (and what is asked for) is kept. Otherwise
    probabilities are merged (`areca.inference.merge`), in float32 and in the order of
    tiles and views, which is one order for every pixel whatever the block.
    """

    def __init__(
        self, valid: NDArray[np.bool_], padded: Window, window: Window
    ) -> None:
        """Begin a block.

        Args:
            valid: Shape (height, width) of `padded`: where something was seen.
            padded: The block with the predictor's halo, absolute pixels.
            window: The block.
        """
        self._window = window
        self._seen = valid[window.slices_in(padded)]
        self._merged: NDArray[np.float32] | None = None
        self._weight = np.zeros(self._seen.shape, np.float32)
        self._views = np.zeros(0, np.float32)
        self._layers: dict[str, NDArray[np.generic]] = {}

    def take(self, done: Pass, how: tuple[Predictor, Session]) -> None:
        """Take one forward pass.

        Args:
            done: The pass; those of one batch follow each other, view by view.
            how: The predictor, and the model in memory.
        """
        predictor = how[0]
        if "label" in done.raw:  # the device has made the maps already
            self._place(done, predictor)
            return
        views = VIEWS[predictor.options.augment]
        scores = done.view.undo(done.raw["logits"])
        if not is_alone(predictor):
            # The views of a tile are merged before its neighbours are: one order for
            # every pixel, however the tiles fell into batches.
            shares = np.stack([softmax(logits) for logits in scores])
            join = MERGES[predictor.merge_policy].join
            is_first = done.view == views[0]
            self._views = shares if is_first else join(self._views, shares)
            scores = self._views
            if predictor.merge_policy == "mean":
                scores = scores / np.float32(len(views))
        if done.view == views[-1]:
            for place, tile in enumerate(done.tiles):
                self._add(scores[place], tile, predictor)

    def _place(self, done: Pass, predictor: Predictor) -> None:
        """Take the maps of cores, see `areca.models.class_maps`."""
        for place, tile in enumerate(done.tiles):
            core = predictor.lattice.core(tile)
            common = core.intersection(self._window)
            if common is None:
                continue
            for name, maps in done.raw.items():
                layer = self._layer(name, str(maps.dtype))
                layer[common.slices_in(self._window)] = maps[
                    (place, *common.slices_in(core))
                ]

    def _add(
        self, scores: NDArray[np.float32], tile: Tile, predictor: Predictor
    ) -> None:
        """Take the logits of a tile that stands alone, else its probabilities."""
        core = predictor.lattice.core(tile)
        around = core.grow(predictor.options.blend_px)
        common = around.intersection(self._window)
        if common is None:
            return
        outer = core.grow(predictor.model.card.halo_px)
        part = scores[:, *common.slices_in(outer)]
        if is_alone(predictor):
            self._keep(part, common, predictor)
            return
        merge = MERGES[predictor.merge_policy]
        if self._merged is None:
            shape = (len(part), *self._seen.shape)
            self._merged = np.full(shape, merge.empty, np.float32)
        rows, cols = common.slices_in(around)
        fade = _fade(core.height, predictor.options.blend_px)
        weight = fade[rows, None] * fade[None, cols]
        here = common.slices_in(self._window)
        so_far = self._merged[:, *here]
        merge.join(so_far, merge.weigh(part, weight), out=so_far)
        self._weight[here] += weight

    def settle(self, _predictor: Predictor) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return no candidates and none that are too large: regions come later."""
        return empty_candidates(), empty_candidates()

    def rasters(self, predictor: Predictor) -> dict[str, NDArray[np.generic]]:
        """Return the class raster, "top1", and what else was asked for."""
        if self._merged is not None:
            self._keep(self._shares(self._merged, predictor), self._window, predictor)
        label = np.where(self._seen, self._layer("label", "uint8"), np.uint8(NODATA))
        layers = {
            name: np.where(self._seen, self._layer(name, "float32"), np.float32(np.nan))
            for name in layers_of(predictor)
        }
        return {"label": label, **layers}

    def _shares(
        self, merged: NDArray[np.float32], predictor: Predictor
    ) -> NDArray[np.float32]:
        if predictor.merge_policy != "mean":
            return shares_of(merged)
        # A neighbour without any pixel was not predicted: its weight is missing.
        weight = np.where(self._weight > 0, self._weight, np.float32(1))
        return (merged / weight).astype(np.float32)

    def _keep(
        self, scores: NDArray[np.float32], place: Window, predictor: Predictor
    ) -> None:
        here = place.slices_in(self._window)
        share = softmax(scores) if is_alone(predictor) else scores
        label = classify(scores, share, predictor)
        self._layer("label", "uint8")[here] = label
        for name in layers_of(predictor):
            self._layer(name, "float32")[here] = CONFIDENCES[name](share, label)

    def _layer(self, name: str, kind: str) -> NDArray[np.generic]:
        if name not in self._layers:
            self._layers[name] = np.zeros(self._seen.shape, kind)
        return self._layers[name]


def classify(
    scores: NDArray[np.float32], share: NDArray[np.float32], predictor: Predictor
) -> NDArray[np.uint8]:
    """Return the best class of each pixel; of equal ones the first.

    Args:
        scores: Shape (class, height, width), logits or probabilities.
        share: The probabilities.
        predictor: Says whether background counts, and the threshold.

    Returns:
        Shape (height, width).
    """
    options, background = predictor.options, predictor.model.card.background
    allowed = classes_of(predictor)
    # Class by class: reading each map once beats argmax over a strided axis.
    best = scores[allowed[0]].copy()
    label = np.full(best.shape, allowed[0], np.uint8)
    for number in allowed[1:]:
        better = scores[number] > best
        np.copyto(best, scores[number], where=better)
        label[better] = number
    if options.threshold is not None and background is not None:
        label[_top(share, label) < options.threshold] = background
    return label


def classes_of(predictor: Predictor) -> list[int]:
    """Return the classes that a pixel can have.

    Args:
        predictor: Says whether background is one of them.
    """
    card = predictor.model.card
    every = range(len(card.labels))
    if predictor.options.predict_background:
        return list(every)
    return [number for number in every if number != card.background]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities, shape (class, height, width), of logits.

    Args:
        logits: Shape (class, height, width).
    """
    power = np.exp(logits - logits.max(axis=0))
    total = power[0].copy()
    for layer in power[1:]:  # one order of summing, whatever the shape in memory
        total += layer
    return np.asarray(power / total)


def _top(share: NDArray[np.float32], label: NDArray[np.uint8]) -> NDArray[np.float32]:
    picked = np.take_along_axis(share, label[None].astype(np.intp), axis=0)
    return np.asarray(picked[0])


def _margin(
    share: NDArray[np.float32], label: NDArray[np.uint8]
) -> NDArray[np.float32]:
    others = share.copy()
    np.put_along_axis(others, label[None].astype(np.intp), -1, axis=0)
    rest = others.max(axis=0) if len(share) > 1 else np.zeros_like(share[0])
    return np.asarray(_top(share, label) - np.maximum(rest, 0))


def _entropy(
    share: NDArray[np.float32], _label: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return Shannon's entropy over its largest value, ln(classes): 0 to 1."""
    total = np.zeros_like(share[0])
    for layer in share:
        total -= layer * np.log(np.maximum(layer, np.finfo(np.float32).tiny))
    scale = np.float32(np.log(len(share))) if len(share) > 1 else np.float32(1)
    return np.asarray(np.clip(total / scale, 0, 1))


CONFIDENCES: dict[
    str,
    Callable[[NDArray[np.float32], NDArray[np.uint8]], NDArray[np.float32]],
] = {"top1": _top, "margin": _margin, "entropy": _entropy}
"""Probabilities (class, height, width) and the class chosen to each layer."""


def layers_of(predictor: Predictor) -> list[str]:
    """Return the layers of confidence to keep; objects need "top1" for their score.

    Args:
        predictor: Says what was asked for.
    """
    return ["top1", *(n for n in predictor.options.confidence if n != "top1")]


def is_alone(predictor: Predictor) -> bool:
    """Return whether each pixel has the scores of one view of one tile."""
    options = predictor.options
    return options.blend_px == 0 and len(VIEWS[options.augment]) == 1


def _fade(core: int, blend: int) -> NDArray[np.float32]:
    """Return the weight of a tile along one side, shape (core + 2 * blend,).

    A raised cosine (Hann) over 2 * blend pixels around each edge of the core; the
    weights of two neighbours add up to one.
    """
    fade = np.ones(core + 2 * blend)
    if blend:
        steps = (np.arange(2 * blend) + 0.5) / (2 * blend)
        fade[: 2 * blend] = np.sin(np.pi / 2 * steps) ** 2
        fade[-2 * blend :] = fade[2 * blend - 1 :: -1]
    return fade.astype(np.float32)
