"""`predict_block`: the one path from the pixels of a block to what a model says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from areca.errors import DeviceMemoryError
from areca.inference.detect import Detected
from areca.inference.passes import Features, FusedFeatures, run_passes
from areca.inference.segment import Segmented
from areca.tiles import as_floats, placed, validity

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from areca.features import FeatureStack
    from areca.inference.predictor import Predictor
    from areca.inference.session import Session
    from areca.tiles import Tile, Window


@dataclass(frozen=True, kw_only=True)
class BlockPrediction:
    """What one block gave."""

    candidates: pd.DataFrame
    """Settled survivors, and the open candidates of components at a seam
    (`areca.objects.settle_block`); empty for a segmentation."""
    oversize: pd.DataFrame
    """Candidates larger than the model's largest object: too large for the halo, so
    they are listed and not counted."""
    tiles: int
    """Tiles that had pixels and were predicted."""
    forward_s: float
    """Seconds in forward passes."""
    rasters: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    """By name, shape (height, width) of the block's window: "label" (class, 255 where
    nothing was seen) and layers of confidence (NaN where nothing was seen)."""
    precision: str = "float32"
    """Numbers of the forward passes: "float32" or "bf16"."""
    degraded: int = 0
    """Batch size that fitted into the memory of the device, where that of the options
    did not; 0 where it did."""


def predict_block(
    block: xr.DataArray,
    window: Window,
    tiles: Sequence[Tile],
    predictor: Predictor,
    *,
    session: Session | None = None,
) -> BlockPrediction:
    """Predict the tiles of one block.

    Args:
        block: Dims (band, y, x), with the bands that the model or its indices need;
            the block's window with the predictor's halo on every side. What is
            missing is NaN in floats; beside integers it stands in a coordinate
            (`areca.tiles.block_array`), and without one all are seen.
        window: The cores of the block's tiles, absolute pixels.
        tiles: The tiles of the block that have imagery, in a fixed order; tiles around
            it that reach into it are added here.
        predictor: The model, its lattice and how to run it.
        session: A model that is in memory already; by default the one of this process,
            loaded from the predictor's handle at the first call.

    Returns:
        The candidates, settled where no other block can touch them, and the rasters.
        A batch that does not fit into the memory of the device is halved.

    Raises:
        DeviceMemoryError: Not even one tile fits.
    """
    session = session or _own_session(predictor)
    size = predictor.options.batch_tiles
    while True:
        smaller = replace(predictor.options, batch_size=size)
        try:
            found = _predict_once(
                block, window, tiles, (replace(predictor, options=smaller), session)
            )
        except DeviceMemoryError:
            if size == 1:
                raise
            size //= 2
        else:
            whole = size == predictor.options.batch_tiles
            return found if whole else replace(found, degraded=size)


def _predict_once(
    block: xr.DataArray,
    window: Window,
    tiles: Sequence[Tile],
    how: tuple[Predictor, Session],
) -> BlockPrediction:
    predictor, session = how
    seen = placed(block, predictor.lattice, window.grow(predictor.halo_px))
    features = _features(seen, predictor.features)
    valid = features.valid
    padded = window.grow(predictor.tiles_halo_px)
    if predictor.ring_px:
        tiles = predictor.tiles_around(window)
    wanted = [t for t in tiles if _has_pixels(valid, t, padded, predictor)]
    found = (Segmented if predictor.is_dense else Detected)(valid, padded, window)
    seconds = 0.0
    for done in run_passes(features, padded, wanted, how):
        seconds += done.seconds
        found.take(done, how)
    settled, oversize = found.settle(predictor)
    return BlockPrediction(
        candidates=settled,
        oversize=oversize,
        tiles=len(wanted),
        forward_s=seconds,
        rasters=found.rasters(predictor),
        precision=getattr(session.network, "precision", "float32"),
    )


def _features(block: xr.DataArray, stack: FeatureStack) -> Features:
    """Return what the model sees; bands that are read stay in the files' numbers."""
    present = [str(name) for name in block.band.values]
    picked = stack.picked(present)
    if picked is None:
        if stack.halo_px == 0:
            return FusedFeatures(block, stack)
        return Features(stack(as_floats(block)).to_numpy())
    chosen = [present.index(name) for name in picked]
    part = block if chosen == [*range(len(present))] else block.isel(band=chosen)
    if halo := stack.halo_px:  # it was read for features that are there after all
        part = part.isel(y=slice(halo, -halo), x=slice(halo, -halo))
    return Features(part.to_numpy(), validity(part))


def _own_session(predictor: Predictor) -> Session:
    # Here, because it brings torch (2.5 s), which only the workers need.
    from areca.inference.session import session_of  # noqa: PLC0415

    return session_of(predictor.model, predictor.options)


def _has_pixels(
    valid: NDArray[np.bool_], tile: Tile, padded: Window, predictor: Predictor
) -> bool:
    """Return whether a tile could give anything; it depends on the tile alone."""
    card = predictor.model.card
    reach = predictor.options.blend_px if predictor.is_dense else card.margin_px
    owned = predictor.lattice.core(tile).grow(reach)
    return bool(valid[owned.slices_in(padded)].any())
