"""The seeded loop: the same scenes, options and machine give the same weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from areca.chips.augment import AugmentOptions, augment
from areca.chips.crops import Crop, cut_crop
from areca.chips.sampling import SampleOptions, Sampler
from areca.errors import RunError
from areca.training.loss import BatchTargets, detection_loss

if TYPE_CHECKING:
    from areca.chips.scene import LabelledScene
    from areca.models.network import CentreRadiusNet

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called as (phase, step, steps, smoothed parts of the loss)."""


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How a network is fitted."""

    steps: int
    """Number of batches."""
    batch: int = 8
    """Crops in a batch."""
    seed: int = 0
    """Seed of the weights, the crops and their variation."""
    learning_rate: float = 2e-3
    """Largest learning rate: a rise over a tenth of the steps, then a cosine."""
    weight_decay: float = 1e-2
    """AdamW's weight decay."""
    average: float = 0.998
    """Weights are averaged over steps with this decay (Polyak); the average is kept."""
    bfloat16: bool = True
    """Convolve in bfloat16 while training (weights and loss stay float32)."""
    threads: int = 2
    """Torch threads; another number may give other bits."""
    sample: SampleOptions = field(default_factory=SampleOptions)
    """How crops are placed."""
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    """How crops are varied."""


@dataclass(frozen=True, kw_only=True)
class BandStatistics:
    """Fixed statistics that standardise the pixels, in band units (0 to 255)."""

    mean: tuple[float, ...]
    """Mean of each band."""
    std: tuple[float, ...]
    """Standard deviation of each band."""


def measure_bands(scenes: Sequence[LabelledScene]) -> BandStatistics:
    """Return mean and deviation of the bands over the valid pixels of all scenes."""
    values = np.concatenate(
        [scene.pixels[:, scene.valid].astype(np.float32) for scene in scenes], axis=1
    )
    return BandStatistics(
        mean=tuple(round(float(v), 3) for v in values.mean(axis=1, dtype=np.float64)),
        std=tuple(round(float(v), 3) for v in values.std(axis=1, dtype=np.float64)),
    )


def fit_network(
    network: CentreRadiusNet,
    scenes: Sequence[LabelledScene],
    *,
    statistics: BandStatistics,
    options: FitOptions,
    shares: Sequence[float] | None = None,
    progress: Progress | None = None,
) -> CentreRadiusNet:
    """Fit a network and return the average of its weights over the steps.

    Args:
        network: Network to start from; it is changed.
        scenes: Scenes to cut crops from.
        statistics: How pixels are standardised.
        options: How to fit.
        shares: Share of the crops of each scene; by trained ground if not given.
        progress: Told about every step.

    Returns:
        The averaged network in eval mode.

    Raises:
        RunError: the loss is not finite.
    """
    torch.set_num_threads(options.threads)
    batches = _Batches(scenes, statistics, options, shares)
    network.train().to(memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    smooth: dict[str, float] = {}
    for step in range(options.steps):
        for group in optimiser.param_groups:
            group["lr"] = options.learning_rate * schedule(step, options.steps)
        parts = _step(network, optimiser, batches.draw(step), options)
        _follow(average, network, min(options.average, (step + 1) / (step + 10)))
        for name, value in parts.items():
            smooth[name] = 0.95 * smooth.get(name, value) + 0.05 * value
        if not np.isfinite(smooth["total"]):
            raise RunError(
                f"the loss is {smooth} at step {step}; lower the learning rate "
                f"({options.learning_rate})"
            )
        if progress is not None:
            progress("fit", step + 1, options.steps, smooth)
    return average.eval()


def _step(
    network: CentreRadiusNet,
    optimiser: torch.optim.Optimizer,
    batch: tuple[torch.Tensor, BatchTargets],
    options: FitOptions,
) -> dict[str, float]:
    """Return the parts of the loss of one batch, after learning from it."""
    images, targets = batch
    with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
        out = network(images)
    parts = detection_loss(out.float(), targets)
    optimiser.zero_grad(set_to_none=True)
    parts["total"].backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return {name: value.item() for name, value in parts.items()}


def schedule(step: int, steps: int) -> float:
    """Return the learning rate's factor: a linear rise, then a cosine down to 1 %."""
    rise = max(steps // 10, 1)
    if step < rise:
        return (step + 1) / rise
    done = (step - rise) / max(steps - rise, 1)
    return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * done)))


@torch.no_grad()
def _follow(average: CentreRadiusNet, network: CentreRadiusNet, decay: float) -> None:
    """Move the average towards the network; the norms' statistics follow too."""
    for kept, new in zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


class _Batches:
    """Batches as a function of the step alone."""

    def __init__(
        self,
        scenes: Sequence[LabelledScene],
        statistics: BandStatistics,
        options: FitOptions,
        shares: Sequence[float] | None,
    ) -> None:
        self._scenes = scenes
        self._samplers = [Sampler(scene, options.sample) for scene in scenes]
        weights = np.array(
            [scene.trained.sum() for scene in scenes] if shares is None else shares,
            float,
        )
        self._shares = weights / weights.sum()
        self._options = options
        band = (1, -1, 1, 1)
        self._mean = np.divide(statistics.mean, 255, dtype=np.float32).reshape(band)
        self._std = np.divide(statistics.std, 255, dtype=np.float32).reshape(band)

    def draw(self, step: int) -> tuple[torch.Tensor, BatchTargets]:
        options = self._options
        rng = np.random.default_rng([options.seed, step])
        crops = [self._crop(rng) for _ in range(options.batch)]
        images = np.stack([crop.pixels for crop in crops])
        varied = augment(images, options.augment, rng)
        valid = np.stack([crop.valid for crop in crops])[:, None]
        scaled = np.where(valid, (varied - self._mean) / self._std, np.float32(0))

        def stack(name: str) -> torch.Tensor:
            arrays = [getattr(crop.targets, name) for crop in crops]
            return torch.from_numpy(np.stack(arrays))

        tensor = torch.from_numpy(scaled)
        return tensor.contiguous(memory_format=torch.channels_last), BatchTargets(
            heat=stack("heat"),
            loss=stack("loss"),
            shape=stack("shape"),
            weight=stack("weight"),
        )

    def _crop(self, rng: np.random.Generator) -> Crop:
        index = int(rng.choice(len(self._scenes), p=self._shares))
        place = self._samplers[index].draw(rng)
        return cut_crop(
            self._scenes[index], place, size_px=self._options.sample.size_px, stride=4
        )
