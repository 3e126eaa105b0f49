"""The loss of the centre + radius network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchTargets:
    """Targets of a batch, on the cells of the head."""

    heat: Tensor
    """Shape (n, h, w)."""
    loss: Tensor
    """Shape (n, h, w)."""
    shape: Tensor
    """Shape (n, 3, h, w)."""
    weight: Tensor
    """Shape (n, 2, h, w)."""


def detection_loss(out: Tensor, targets: BatchTargets) -> dict[str, Tensor]:
    """Return the parts of the loss of one batch.

    Heat map: penalty-reduced focal loss of Law and Deng 2018 (arXiv:1808.01244) with
    alpha 2 and beta 4, over the cells that have a loss. Offset and ln radius: mean
    absolute error, weighted by the peak. Each is divided by its own number of cells.

    Args:
        out: What the network returned, shape (n, 1 + 3, h, w), logits first.
        targets: What it should have returned.

    Returns:
        "heat", "offset", "radius" and their weighted sum "total".
    """
    logits = out[:, 0]
    score = logits.sigmoid()
    centre = targets.heat >= 1
    at_centre = -functional.logsigmoid(logits) * (1 - score) ** 2
    elsewhere = -functional.logsigmoid(-logits) * score**2 * (1 - targets.heat) ** 4
    heat = torch.where(centre, at_centre, elsewhere) * targets.loss
    count = (centre * targets.loss).sum().clamp(min=1)
    error = (out[:, 1:] - targets.shape).abs()
    of_offset, of_radius = targets.weight[:, 0], targets.weight[:, 1]
    offset = (error[:, 0] + error[:, 1]) * of_offset
    radius = error[:, 2] * of_radius
    parts = {
        "heat": heat.sum() / count,
        "offset": offset.sum() / of_offset.sum().clamp(min=1),
        "radius": radius.sum() / of_radius.sum().clamp(min=1),
    }
    return parts | {"total": parts["heat"] + 0.5 * parts["offset"] + parts["radius"]}
