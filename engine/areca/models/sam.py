"""Segment Anything for classes of pixels: its encoder with LoRA, a mask per class.

SAMed (Zhang & Liu 2023, arXiv:2304.13785): low-rank adapters (LoRA, arXiv:2106.09685)
on the query and value projections of every attention block of the frozen encoder, no
prompt, and the mask decoder of Segment Anything (arXiv:2304.02643) giving one mask per
class at a quarter of the resolution. The networks are those of transformers, the
adapters those of peft; only configurations are read, and nothing is fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.sam.configuration_sam import (
    SamConfig,
    SamMaskDecoderConfig,
    SamPromptEncoderConfig,
    SamVisionConfig,
)
from transformers.models.sam.modeling_sam import SamModel
from typing_extensions import override

from areca.errors import ModelError
from areca.models.architectures import widen
from areca.models.checks import check_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from areca.models.card import ModelCard

OPTIONS = ("encoder", "lora_rank", "lora_alpha")
_RANK = 4
"""Rank of the adapters in SAMed, whose scale is 1: alpha is the rank."""
_ENCODERS: dict[str, dict[str, Any]] = {
    "base": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "global_attn_indexes": [2, 5, 8, 11],
    },
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "global_attn_indexes": [5, 11, 17, 23],
    },
    "huge": {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "global_attn_indexes": [7, 15, 23, 31],
    },
}
"""The published encoders, by the option `encoder`."""
_SIZES = {"output_channels": 256, "window_size": 14}
"""What the published encoders have in common."""
_DECODER_STEP = 16
"""The decoder has 8 heads on half of its channels."""


class SplitProjection(nn.Module):
    """Query, key and value by one layer each, where Segment Anything has one for all.

    So that adapters can change queries and values and leave the keys.
    """

    def __init__(self, joined: nn.Linear) -> None:
        """Take the weights of the one layer, of 3 x hidden outputs."""
        super().__init__()
        parts = zip(joined.weight.chunk(3), joined.bias.chunk(3), strict=True)
        self.q, self.k, self.v = (_linear(*part) for part in parts)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return (…, 3 x hidden) for (…, hidden): queries, then keys, then values."""
        return torch.cat([self.q(x), self.k(x), self.v(x)], dim=-1)

    def join(self) -> nn.Linear:
        """Return the one layer that does the same; adapters are merged into it."""
        # Here: without adapters nothing is split, and peft not needed.
        from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: PLC0415

        parts = [self.q, self.k, self.v]
        for place, part in enumerate(parts):
            if isinstance(part, BaseTunerLayer):
                part.merge()
                parts[place] = part.get_base_layer()
        return _linear(
            torch.cat([part.weight for part in parts]),
            torch.cat([part.bias for part in parts]),
        )


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Return a layer of these numbers, copied."""
    outer, inner = weight.shape
    layer = nn.Linear(inner, outer, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


class SamLora(nn.Module):
    """Segment Anything as a dense network."""

    def __init__(self, sam: SamModel) -> None:
        """Take over a network whose decoder has as many masks as there are classes."""
        super().__init__()
        self.sam = sam

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, class, tile, tile) for images (n, band, tile, tile)."""
        # The mask of token 0 is the one for a single prompt; each other is a class.
        found = self.sam(pixel_values=x, multimask_output=True)
        masks = found.pred_masks[:, 0]
        return functional.interpolate(
            masks, x.shape[-2:], mode="bilinear", align_corners=False
        )

    def fold(self) -> None:
        """Put the network in eval mode and merge the adapters into its weights.

        It is then Segment Anything as it is published, at its own cost.
        """
        self.eval()
        for layer in self.sam.vision_encoder.layers:
            if isinstance(layer.attn.qkv, SplitProjection):
                layer.attn.qkv = layer.attn.qkv.join()


def build_sam(card: ModelCard) -> SamLora:
    """Return the network of a card with random weights, ready to be trained.

    Options: `encoder` (base, large or huge as published, or a mapping of sizes by the
    names of `transformers.SamVisionConfig`, else those of base), `lora_rank` (4; with 0
    there are no adapters and every weight is trained) and `lora_alpha` (the rank). The
    image size is the tile.

    Raises:
        ModelError: An option is unknown or has a value that cannot be.
    """  # noqa: DOC502 - raised by the parts
    check_known(card, card.architecture_options, OPTIONS)
    adapters = lora_options(card)
    return finish(SamModel(_config(card)), card.bands, *adapters)


def lora_options(card: ModelCard) -> tuple[int, int]:
    """Return rank and alpha of the adapters of a card.

    Raises:
        ModelError: The rank is no whole number or below 0, or alpha below 1.
    """
    rank = card.architecture_options.get("lora_rank", _RANK)
    alpha = card.architecture_options.get("lora_alpha", rank or 1)
    for name, value, least in (("lora_rank", rank, 0), ("lora_alpha", alpha, 1)):
        if type(value) is not int or value < least:
            raise ModelError(
                f"model {card.name!r}: {name} is {value!r}; it must be a whole number, "
                f"{least} or more. A lora_rank of 0 is a model without adapters"
            )
    return rank, alpha


def finish(sam: SamModel, bands: Sequence[str], rank: int, alpha: int) -> SamLora:
    """Return a network for some bands, with adapters, from one of three bands.

    Trained are then the adapters, the default prompt, the decoder, and the first layer
    where the bands have changed it; the rest is frozen.

    Args:
        sam: Takes red, green and blue; it is changed in place.
        bands: Names of the bands.
        rank: Rank of the adapters; with 0 there are none and nothing is frozen.
        alpha: The changes of the adapters are multiplied by alpha / rank.
    """
    encoder = sam.vision_encoder
    published = encoder.patch_embed.projection
    widen(encoder, bands)
    encoder.patch_embed.num_channels = len(bands)
    network = SamLora(sam)
    if not rank:
        return network
    for layer in encoder.layers:
        layer.attn.qkv = SplitProjection(layer.attn.qkv)
    # Here: adapters need peft, and a merged model does not.
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415

    targets = LoraConfig(r=rank, lora_alpha=alpha, target_modules=r".*\.qkv\.[qv]")
    network.requires_grad_(requires_grad=False)
    inject_adapter_in_model(targets, encoder)
    first = encoder.patch_embed.projection
    first.requires_grad_(first is not published)
    sam.mask_decoder.requires_grad_(requires_grad=True)
    sam.prompt_encoder.no_mask_embed.requires_grad_(requires_grad=True)
    return network


def _config(card: ModelCard) -> SamConfig:
    """Return the configuration of a card, for three bands.

    Raises:
        ModelError: There is no encoder of this name, or a size cannot be.
    """
    given = card.architecture_options.get("encoder", "base")
    if isinstance(given, str) and given not in _ENCODERS:
        raise ModelError(
            f"model {card.name!r}: {card.architecture} has no encoder {given!r}; it "
            f"has {', '.join(_ENCODERS)}, or give a mapping of sizes"
        )
    named = _ENCODERS[given] if isinstance(given, str) else given
    check_known(card, named, [*_ENCODERS["base"], *_SIZES])
    sizes = _ENCODERS["base"] | _SIZES | dict(named)
    if fault := _size_fault(sizes):
        raise ModelError(f"model {card.name!r}: {fault}")
    width = sizes["output_channels"]
    return SamConfig(
        vision_config=SamVisionConfig(
            image_size=card.tile_px,
            num_pos_feats=width // 2,
            # transformers draws an encoder of zeros (1e-10), only to be overwritten.
            initializer_range=0.02,
            **sizes,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(
            image_size=card.tile_px, hidden_size=width
        ),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=width, num_multimask_outputs=len(card.labels)
        ),
    )


def _size_fault(sizes: Mapping[str, Any]) -> str:
    """Return what is wrong with the sizes of an encoder."""
    counts = {name: sizes[name] for name in sizes if name != "global_attn_indexes"}
    for name, size in counts.items():
        if type(size) is not int or size < 1:
            return f"{name} is {size!r}; it must be a whole number, 1 or more"
    hidden, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    if hidden % heads:
        return f"hidden_size {hidden} is no multiple of num_attention_heads {heads}"
    width, layers = sizes["output_channels"], range(sizes["num_hidden_layers"])
    if width % _DECODER_STEP:
        return (
            f"output_channels is {width}; the heads of the decoder need a multiple of "
            f"{_DECODER_STEP}"
        )
    if any(index not in layers for index in sizes["global_attn_indexes"]):
        return (
            f"global_attn_indexes are {sizes['global_attn_indexes']}; they count the "
            f"{len(layers)} layers from 0"
        )
    return ""
