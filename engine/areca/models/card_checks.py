"""What a model card must hold to be usable: each fault is named with its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from areca.errors import ModelError
from areca.models.contracts import (
    CONTRACTS,
    DARKNET_NETWORKS,
    FAMILIES,
    FILE_FORMATS,
    FORMATS,
    PRECISIONS,
    TASKS,
    WHOLE_FILE,
)

if TYPE_CHECKING:
    from areca.models.card import ModelCard


def check_card(card: ModelCard) -> None:
    """Check a card as it is made.

    Args:
        card: The card, its fields filled in.

    Raises:
        ModelError: A value cannot be, or does not fit another.
    """
    # In this order: what the later ones read is known to be sound.
    for find_fault in (
        _architecture_fault,
        _input_fault,
        _answer_fault,
        _background_fault,
        _lattice_fault,
    ):
        if fault := find_fault(card):
            raise ModelError(f"model {card.name!r}: {fault}")


def _architecture_fault(card: ModelCard) -> str:
    if card.architecture not in FAMILIES:
        return (
            f"architecture {card.architecture!r} is unknown; this version has "
            f"{', '.join(sorted(FAMILIES))}"
        )
    if card.format not in FORMATS:
        return f"format is {card.format!r}; it must be one of {', '.join(FORMATS)}"
    is_whole = card.architecture == WHOLE_FILE
    if is_whole != (card.format in FILE_FORMATS):
        return (
            f"architecture {card.architecture!r} does not go with format "
            f"{card.format!r}: {', '.join(FILE_FORMATS)} hold the whole network and "
            f"go with the architecture {WHOLE_FILE!r}, the others with its name"
        )
    if card.format == "darknet" and card.architecture not in DARKNET_NETWORKS:
        return (
            f"format 'darknet' names no tensors, so {card.architecture} cannot take "
            f"it; it goes with {', '.join(DARKNET_NETWORKS)}"
        )
    if card.precision not in PRECISIONS:
        return f"precision is {card.precision!r}; it must be float32 or bf16"
    given = card.architecture_options.get("contract")
    if is_whole and given not in CONTRACTS:
        return (
            f"architecture_options['contract'] is {given!r}; say what the file gives: "
            f"{', '.join(CONTRACTS)}"
        )
    if card.task != TASKS[card.contract]:
        return (
            f"task is {card.task!r}, but {card.architecture} gives {card.contract}; "
            f"the task must be {TASKS[card.contract]!r}"
        )
    return ""


def _input_fault(card: ModelCard) -> str:
    twice = sorted({name for name in card.bands if card.bands.count(name) > 1})
    if twice:
        return f"bands names {', '.join(twice)} more than once; give each band once"
    if not (len(card.bands) == len(card.mean) == len(card.std)):
        return (
            f"{len(card.bands)} bands, {len(card.mean)} means and {len(card.std)} "
            "deviations; give one of each per band"
        )
    if any(not value > 0 for value in card.std):
        return f"std {card.std} must be above zero in every band"
    if not (card.resolution_m > 0 and card.labels):
        return (
            f"resolution_m is {card.resolution_m} and labels are {card.labels}; a "
            "positive pixel and at least one class are needed"
        )
    return ""


def _answer_fault(card: ModelCard) -> str:
    if card.resolve not in {"nms", "peaks"}:
        return f"resolve is {card.resolve!r}; it must be 'nms' or 'peaks'"
    for name in ("score_threshold", "nms_iou"):
        if not 0 <= getattr(card, name) <= 1:
            return f"{name} is {getattr(card, name)}; it must lie between 0 and 1"
    for name in ("context_px", "margin_px", "max_object_px"):
        if getattr(card, name) < 0:
            return f"{name} is {getattr(card, name)}; it counts pixels, so 0 or more"
    return ""


def _background_fault(card: ModelCard) -> str:
    if card.contract == "logits":
        if card.max_object_px or card.margin_px:
            return (
                f"max_object_px is {card.max_object_px} and margin_px "
                f"{card.margin_px}; logits offer no candidates, so both must be 0 and "
                "the halo is context_px alone"
            )
        if card.background is not None and card.background not in range(
            len(card.labels)
        ):
            return (
                f"background is class {card.background}, but the labels "
                f"{card.labels} have the numbers 0 to {len(card.labels) - 1}"
            )
    elif card.background is not None:
        return (
            f"background is {card.background}, but a model that gives "
            f"{card.contract} has no class for it; leave it out"
        )
    return ""


def _lattice_fault(card: ModelCard) -> str:
    phase = card.phase_px
    if phase < 1:
        return f"architecture_options['phase_px'] is {phase}; it must be 1 or more"
    if card.core_px > 0 and not (card.core_px % phase or card.halo_px % phase):
        return ""
    return (
        f"tile {card.tile_px} px with halo {card.halo_px} px (context_px "
        f"{card.context_px} + margin_px {card.margin_px} + half of max_object_px "
        f"{card.max_object_px}) leaves a core of {card.core_px} px; core and halo must "
        f"be positive multiples of {phase}, so that all tiles meet the network's "
        f"strides in the same phase. {_nearest(card)}"
    )


def _nearest(card: ModelCard) -> str:
    """Return the nearest sizes that fit a card whose halo or core does not."""
    phase = card.phase_px
    # Up only: a tile that sees less than it needs answers differently at its edge.
    halo = -(-card.halo_px // phase) * phase
    context = card.context_px + halo - card.halo_px
    least = 2 * halo + phase
    below = max((card.tile_px - least) // phase * phase + least, least)
    tiles = [below] if below >= card.tile_px else [below, below + phase]
    told = "tile_px " + " or ".join(map(str, tiles))
    if context != card.context_px:
        told = f"context_px {context} (halo {halo}) with {told}"
    return f"The nearest that fit: {told}"
