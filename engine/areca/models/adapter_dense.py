"""Dense networks as areca runs them: one value per class and pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from areca.errors import PredictError
from areca.models.checks import check_batch, refuse_not_finite
from areca.models.folding import fold_norms
from areca.models.loaded import Loaded
from areca.models.rounding import logits_of, rounded
from areca.models.transfer import to_device, to_host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.models.adapter import Raw
    from areca.models.card import ModelCard
    from areca.models.class_maps import ClassMaps
    from areca.models.found import Found


@runtime_checkable
class Foldable(Protocol):
    """A network with parts that inference does not need apart, such as adapters."""

    def fold(self) -> None:
        """Merge them, in place."""


class DenseSegmenter(Loaded):
    """A dense network, ready for inference."""

    def __init__(
        self, network: nn.Module, card: ModelCard, *, bf16: bool | None = None
    ) -> None:
        """Take over a network: it is folded in place and cannot be trained again.

        Args:
            network: The network, with its weights.
            card: Its card.
            bf16: Whether to compute in bf16; by default where the card allows it and
                the hardware has it and computes this network right (`rounded`).
        """
        super().__init__(card, next(network.parameters()).device)
        allowed = card.precision == "bf16" and has_bf16(self.device)
        is_wanted = allowed if bf16 is None else bf16
        if isinstance(network, Foldable):
            network.fold()
        network = fold_norms(network.eval()).to(memory_format=torch.channels_last)
        # Autocast on a CPU would round every weight anew in every pass.
        self._autocasts = is_wanted and self.device.type != "cpu"
        self._numbers = torch.float32
        if is_wanted and not self._autocasts:
            coarse = rounded(network, card) if bf16 is None else network.bfloat16()
            is_wanted = coarse is not None
            if coarse is not None:
                network, self._numbers = coarse, torch.bfloat16
        self.precision = "bf16" if is_wanted else "float32"
        self._network = network
        # The logits of a GPU are far away, and it can begin a pass before one ends.
        self.reduces = self.device.type != "cpu"
        self.passes_at_once = 2 if self.device.type == "cuda" else 1

    def forward(self, batch: NDArray[np.float32], /) -> Raw:
        """Run the network.

        Args:
            batch: Shape (n, band, tile, tile), standardised, missing pixels 0.

        Returns:
            "logits", shape (n, class, tile, tile), float32 in host memory.
            `areca.errors.PredictError` where the batch or the output has another
            shape, or an output is not finite.
        """
        out = to_host({"logits": self._logits(batch)})["logits"]
        values = cast("NDArray[np.float32]", out)
        return {"logits": checked_logits(values, len(batch), self.card)}

    def forward_maps(self, batch: NDArray[np.float32], maps: ClassMaps) -> Raw:
        """Run the network, and make class maps of its logits on the device.

        Args:
            batch: As `forward` takes it.
            maps: What to keep of the logits.

        Returns:
            The maps, see `areca.models.class_maps`, in host memory.
            `areca.errors.PredictError` as with `forward`.
        """
        with torch.inference_mode():
            logits = self._logits(batch)
            check_logits(tuple(logits.shape), len(batch), self.card)
            bad = (logits.numel() - logits.isfinite().sum())[None]
            found = to_host({"bad": bad, **maps.of(logits)})
        refuse_not_finite(int(found.pop("bad")[0]), logits.numel(), self.card)
        return found

    @property
    def bf16(self) -> bool:
        """Whether it computes in bf16 here."""
        return self.precision == "bf16"

    def _logits(self, batch: NDArray[np.float32]) -> Tensor:
        check_batch(batch, self.card)
        kind, is_on = self.device.type, self._autocasts
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, is_on):
            out = self._network(to_device(batch, self.device).to(self._numbers))
        return logits_of(out)

    def decode(self, raw: Raw, score_threshold: float) -> Sequence[Found]:
        """Refuse: classes of pixels are made of the logits of many tiles at once.

        Raises:
            PredictError: Always.
        """
        raise PredictError(
            f"model {self.card.name!r} gives logits ({', '.join(raw)}), no objects "
            f"with a score of {score_threshold} or more; segment with it"
        )


def has_bf16(device: torch.device) -> bool:
    """Return whether a device multiplies bf16 itself; emulated it is slower.

    Args:
        device: A processor with avx512_bf16 or AMX, or a GPU of Ampere or later.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def checked_logits(
    values: NDArray[np.float32], tiles: int, card: ModelCard
) -> NDArray[np.float32]:
    """Return logits if their shape is that of the card and all are finite.

    Args:
        values: Shape (n, class, tile, tile).
        tiles: How many there must be.
        card: Card of the model that gave them.

    Raises:
        PredictError: They are not.
    """  # noqa: DOC502 - raised by the checks
    check_logits(values.shape, tiles, card)
    refuse_not_finite(int(values.size - np.isfinite(values).sum()), values.size, card)
    return values


def check_logits(shape: tuple[int, ...], tiles: int, card: ModelCard) -> None:
    """Check the shape of logits.

    Raises:
        PredictError: It is not that of the card.
    """
    wanted = (tiles, len(card.labels), card.tile_px, card.tile_px)
    if shape != wanted:
        raise PredictError(
            f"model {card.name!r} gave an output of shape {shape}, the card "
            f"says {wanted}: {len(card.labels)} labels in tiles of {card.tile_px} px. "
            "Correct the card's labels or tile_px"
        )
