"""A network in bf16, if this processor computes it right."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from areca.models.card import ModelCard

MOST_OFF = 0.2
"""Mean difference of logits over their mean size. Rounding alone gives 0.003 to 0.05, a
convolution that is computed wrongly about 1."""


def rounded(network: nn.Module, card: ModelCard) -> nn.Module | None:
    """Return a network in bf16.

    A card allows bf16 by a trial, which may have run on another processor, and kernels
    of bf16 have defects: oneDNN (torch 2.15) on AMX gives numbers without any relation
    to the right ones for a convolution of 4 bands with 16 x 16 pixels and stride 16,
    the first layer of many transformers. So one tile of noise is computed both ways.

    Args:
        network: On the CPU, float32, ready for inference; it is left as it is.
        card: Says what it takes.

    Returns:
        A copy in bf16; None where its answer is not that of float32, rounded.
    """
    seeded = torch.Generator().manual_seed(0)
    shape = (1, len(card.bands), card.tile_px, card.tile_px)
    tile = torch.randn(shape, generator=seeded)
    tile = tile.contiguous(memory_format=torch.channels_last)
    coarse = copy.deepcopy(network).to(torch.bfloat16)
    with torch.inference_mode():
        exact = logits_of(network(tile))
        off = logits_of(coarse(tile.to(torch.bfloat16))).float() - exact
    share = float(off.abs().mean() / exact.abs().mean())
    return coarse if share <= MOST_OFF else None  # a NaN is not


def logits_of(out: object) -> Tensor:
    """Return the logits of what a network gives: DeepLabV3 of torchvision a dict."""
    return cast("Tensor", out["out"] if isinstance(out, dict) else out)
