"""Models of published parts: weights of Segment Anything, and an adapter of peft."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from torch.nn import functional

from areca.errors import ModelError
from areca.models.architectures import RGB, build_network
from areca.models.states import fit_state, read_file, read_state
from areca.models.weights import save_model

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from torch import Tensor
    from transformers.models.sam.modeling_sam import SamModel

    from areca.models.card import ModelCard
    from areca.models.handle import Model
    from areca.models.sam import SamLora

BASE_NAME = "model.safetensors"
ADAPTER_NAMES = ("adapter_config.json", "adapter_model.safetensors")
"""Files that the libraries write into a folder."""
_SHARED = "shared_image_embedding.positional_embedding"
_SHARED_TOO = "prompt_encoder.shared_embedding.positional_embedding"
"""The other name of the same tensor, which transformers writes once."""
_MASKS = "mask_decoder.mask_tokens.weight"
_OF_MASKS = (
    "mask_decoder.mask_tokens.",
    "mask_decoder.output_hypernetworks_mlps.",
    "mask_decoder.iou_prediction_head.",
)
"""What has one part a mask."""


def import_sam(
    base: Path, card: ModelCard, folder: Path, *, adapter: Path | None = None
) -> Model:
    """Return the handle of a model made of published parts, written to a folder.

    Positions of another image size than the tile are resized (`resize_positions`).
    Other bands than red, green and blue get their mean in the first layer.

    With an adapter the model is finished: its low-rank changes are merged, and the
    card is written with a `lora_rank` of 0. Without one it is where training starts:
    adapters as the card says, which change nothing yet, and masks drawn anew unless
    the base has as many as the card has labels.

    Args:
        base: A file of weights as transformers saves a `SamModel`, or its folder.
        card: Of the architecture "sam-lora", with the encoder of the base.
        folder: Where the model is written.
        adapter: Folder of a LoRA adapter of that `SamModel` as peft saves it, trained
            with `multimask_output` and a mask for each label of the card.

    Raises:
        ModelError: A part is missing or does not fit, an adapter needs more than is
            read of it, or there are no trained masks for the labels of the card.
    """
    if card.architecture != "sam-lora":
        raise ModelError(
            f"model {card.name!r} has the architecture {card.architecture}; parts of "
            "Segment Anything make a sam-lora"
        )
    files = _files(base, adapter)
    sam = cast("SamLora", build_network(_plain(card))).sam
    # Here: where transformers or peft are missing, the line above has told so.
    from areca.models.sam import finish, lora_options  # noqa: PLC0415
    from areca.models.sam_adapter import merge_adapter  # noqa: PLC0415

    new = _load_base(sam, files[0], card)
    if adapter is not None:
        sam = merge_adapter(sam, files[1], files[2], new)
        card = replace(card, architecture_options=_plain(card).architecture_options)
    return save_model(finish(sam, card.bands, *lora_options(card)), card, folder)


def _plain(card: ModelCard) -> ModelCard:
    """Return the card of Segment Anything as it is published: no adapters, RGB."""
    return replace(
        card,
        bands=RGB,
        mean=(0.0,) * len(RGB),
        std=(1.0,) * len(RGB),
        architecture_options={**card.architecture_options, "lora_rank": 0},
    )


def _files(base: Path, adapter: Path | None) -> list[Path]:
    """Return the files of the base and, with an adapter, of its settings and weights.

    Raises:
        ModelError: One is missing.
    """
    files = [base / BASE_NAME if base.is_dir() else base]
    if adapter is not None:
        files += [adapter / name for name in ADAPTER_NAMES]
    for path in files:
        if not path.is_file():
            raise ModelError(
                f"there is no file {path}; give weights or folders as save_pretrained "
                f"of transformers ({BASE_NAME}) and peft ({', '.join(ADAPTER_NAMES)}) "
                "writes them"
            )
    return files


def _load_base(sam: SamModel, path: Path, card: ModelCard) -> frozenset[str]:
    """Load the weights of Segment Anything.

    Returns:
        Names of the weights that stay as they were drawn: the file has another number
        of masks.
    """
    kind = "safetensors" if path.suffix == ".safetensors" else "state-dict"
    state = read_state(read_file(path), kind, str(path))
    if _SHARED in state:
        state.setdefault(_SHARED_TOO, state[_SHARED])
    wanted = sam.state_dict()
    state = resize_positions(
        state, wanted, sam.config.vision_config.global_attn_indexes
    )
    new: frozenset[str] = frozenset()
    if _MASKS in state and len(state[_MASKS]) != len(wanted[_MASKS]):
        new = frozenset(name for name in wanted if name.startswith(_OF_MASKS))
        state = {n: state[n] for n in state if not n.startswith(_OF_MASKS)}
        state |= {name: wanted[name] for name in new}
    fit_state(sam, state, f"{path} and model {card.name!r}")
    return new


def resize_positions(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], layers: Collection[int]
) -> dict[str, Tensor]:
    """Return weights of Segment Anything with the positions of another image size.

    As SAMed does it; the relative positions also as Segment Anything itself does where
    they are too many. Windows have the same size in every image and keep theirs.

    Args:
        state: Weights by their names in `SamModel`.
        wanted: Weights of the network that they shall fit.
        layers: Numbers of the layers with global attention.

    Returns:
        The same tensors, but where another size is wanted `pos_embed` (1, y, x,
        channel) resized bilinearly, and `rel_pos_h` and `rel_pos_w` of these layers
        (2 x side - 1, channel) linearly, both without aligned corners.
    """
    found = dict(state)
    name = "vision_encoder.pos_embed"
    if _is_other_size(state.get(name), wanted[name]):
        grid = state[name].float().permute(0, 3, 1, 2)
        size = wanted[name].shape[1:3]
        grid = functional.interpolate(grid, size, mode="bilinear", align_corners=False)
        found[name] = grid.permute(0, 2, 3, 1).contiguous()
    for layer in layers:
        for axis in "hw":
            name = f"vision_encoder.layers.{layer}.attn.rel_pos_{axis}"
            if _is_other_size(state.get(name), wanted[name]):
                line = state[name].float().T[None]
                line = functional.interpolate(line, len(wanted[name]), mode="linear")
                found[name] = line[0].T.contiguous()
    return found


def _is_other_size(given: Tensor | None, wanted: Tensor) -> bool:
    """Return whether just the size of the image differs."""
    return (
        given is not None
        and given.shape != wanted.shape
        and given.ndim == wanted.ndim
        and given.shape[-1] == wanted.shape[-1]
    )
