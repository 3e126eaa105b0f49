"""One model and one queue of forward passes per process.

Several block tasks may run in the threads of one worker. Their forward passes go
through a single thread, on a GPU through two (`areca.inference.lanes`), so that one
block is predicted while the others read, cut and decode, and so that passes do not
fight over the device.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from functools import partial
from traceback import clear_frames
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from areca.errors import (
    DeviceLostError,
    DeviceMemoryError,
    ModelError,
    PredictError,
)
from areca.inference.lanes import Lanes
from areca.models.adapter import load_network
from areca.models.transfer import empty_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from areca.inference.options import PredictOptions
    from areca.models.adapter import LoadedModel, Raw
    from areca.models.adapter_dense import DenseSegmenter
    from areca.models.class_maps import ClassMaps
    from areca.models.handle import Model

STICKY = re.compile(r"CUDA error|CUDNN_STATUS_(?:EXECUTION|INTERNAL)|uncorrectable ECC")
"""After such an error every later call of the process fails as well."""
_LOCK = threading.Lock()
_FORWARD = {count: Lanes(count) for count in (1, 2)}
_STREAM = threading.local()
_LOADED: dict[tuple[str, str], Session] = {}


class Session:
    """A model that this process has loaded, and its queue of forward passes."""

    def __init__(self, network: LoadedModel) -> None:
        """Wrap a loaded model."""
        self.network = network
        self.reduces: bool = getattr(network, "reduces", False)
        self.device: torch.device = getattr(network, "device", torch.device("cpu"))
        self._kept: dict[tuple[int, ...], list[NDArray[np.float32]]] = {}
        self.lanes: int = getattr(network, "passes_at_once", 1)
        if self.device.type == "cuda":
            _be_exact()
            torch.cuda.synchronize(self.device)  # passes run in streams of their own

    def lend(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return an array for tiles, from which the device copies fast.

        Memory that was used before: the first touch of new memory costs more than
        standardising the tiles.

        Args:
            shape: Of the array; its values are left from an earlier batch.
        """
        with _LOCK:
            if (kept := self._kept.get(shape)) is not None and kept:
                return kept.pop()
        return empty_batch(shape, self.device)

    def take_back(self, batch: NDArray[np.float32]) -> None:
        """Take back an array that was lent; nothing may read it any more.

        Args:
            batch: The array.
        """
        with _LOCK:
            self._kept = {batch.shape: self._kept.get(batch.shape, [])}
            self._kept[batch.shape].append(batch)

    def submit(
        self,
        batch: NDArray[np.float32],
        torch_threads: int,
        maps: ClassMaps | None = None,
        *,
        block: int = 0,
    ) -> Future[tuple[Raw, float]]:
        """Queue one forward pass.

        Args:
            batch: Shape (n, band, tile, tile), standardised, missing pixels 0.
            torch_threads: Threads of the pass on the CPU.
            maps: What to keep of logits; only for a model that `reduces`.
            block: The number of its block: those that began first go first.

        Returns:
            A future of the raw outputs and the seconds that the pass took.
        """
        lanes = _FORWARD[self.lanes]
        return lanes.submit(block, partial(self._forward, batch, torch_threads, maps))

    def _forward(
        self, batch: NDArray[np.float32], torch_threads: int, maps: ClassMaps | None
    ) -> tuple[Raw, float]:
        # The OpenMP thread count belongs to the calling thread: it must be set here.
        if torch.get_num_threads() != torch_threads:
            torch.set_num_threads(torch_threads)
        start = time.perf_counter()
        try:
            with _stream_of(self.device):
                if maps is None:
                    raw = self.network.forward(batch)
                else:
                    raw = cast("DenseSegmenter", self.network).forward_maps(batch, maps)
        except torch.OutOfMemoryError as error:
            # The frames of the failed pass would hold its tensors as long as the
            # error lives, and a smaller batch would not fit either.
            clear_frames(error.__traceback__)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise DeviceMemoryError(
                f"{len(batch)} tiles of {batch.shape[-1]} px do not fit into the "
                "memory of the device. Give a smaller batch_size, or fewer threads "
                "a worker"
            ) from error
        except RuntimeError as error:
            if STICKY.search(str(error)) is None:
                raise
            raise DeviceLostError(
                f"the device failed ({str(error).splitlines()[0]}); this process "
                "cannot use it any more"
            ) from error
        return raw, time.perf_counter() - start


def _be_exact() -> None:
    """Let a GPU compute float32 as float32, and the same each time.

    By default its convolutions round to TF32, 10 bits of fraction: 0.15 % of the pixels
    of a random U-Net changed class. A card that allows bf16 says so.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


@contextmanager
def _stream_of(device: torch.device) -> Iterator[None]:
    """Let the passes of this thread run in a stream of their own, on a GPU."""
    if device.type != "cuda":
        yield
        return
    if not hasattr(_STREAM, "own"):
        _STREAM.own = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(_STREAM.own):
        yield


def check_model(model: Model, options: PredictOptions) -> None:
    """Run a model once on an empty batch, so that a misfit is named before any read.

    The model stays loaded in this process.

    Args:
        model: Handle of the model.
        options: How to run it.

    Raises:
        ModelError: The network does not take what the card says, or does not give
            what its contract promises.
    """
    card = model.card
    session = session_of(model, options)
    shape = (options.batch_tiles, len(card.bands), card.tile_px, card.tile_px)
    try:
        empty = np.zeros(shape, np.float32)
        raw, _ = session.submit(empty, options.torch_threads).result()
        if card.contract != "logits":
            wanted = options.threshold
            session.network.decode(
                raw, card.score_threshold if wanted is None else wanted
            )
    except DeviceMemoryError:
        return  # the block halves its batch, and says so
    except (PredictError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"model {card.name!r} fails on an empty batch of {shape} (tile, band, row, "
            f"column): {str(error).splitlines()[0]}. Its card and its network do not "
            "belong together"
        ) from error


def torch_threads() -> int:
    """Return how many threads torch uses for the caller."""
    return torch.get_num_threads()


def session_of(model: Model, options: PredictOptions) -> Session:
    """Return the session of a model in this process; the first call loads it.

    The weights are checked against the card's SHA-256 when they are loaded.

    Args:
        model: Handle of the model.
        options: Says which device.
    """
    key = (model.card.digest, options.device)
    with _LOCK:
        if key not in _LOADED:
            network = load_network(model, options.device, trust=options.trust)
            _LOADED[key] = Session(network)
        return _LOADED[key]
