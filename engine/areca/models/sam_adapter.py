"""LoRA adapters as peft saves them, merged into Segment Anything.

Of `adapter_config.json` only known settings are read: peft itself would follow names of
modules and of hubs that stand in it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from peft import (
    LoraConfig,
    LoraModel,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)

from areca.errors import ModelError
from areca.models.states import read_file, read_state, refuse_misfit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from transformers.models.sam.modeling_sam import SamModel

_READ = (
    "alpha_pattern",
    "bias",
    "exclude_modules",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_bias",
    "modules_to_save",
    "r",
    "rank_pattern",
    "target_modules",
    "use_dora",
    "use_rslora",
)
"""Settings that say where the numbers go, and how they count."""
_NOT_NEEDED = (
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "lora_dropout",
    "peft_type",
    "peft_version",
    "revision",
    "task_type",
)
"""Settings that change nothing once an adapter is trained."""
_INIT = "init_lora_weights"
_PLAIN_INITS = (True, False, "gaussian")
"""Others have changed the base weights when the training began."""
_PREFIX = "base_model.model."
"""What peft puts before the names of a network."""
_UNUSED = "mask_decoder.iou_prediction_head."


def merge_adapter(
    sam: SamModel, settings: Path, weights: Path, new: Collection[str]
) -> SamModel:
    """Return Segment Anything with an adapter merged into its weights.

    Args:
        sam: With the weights that the adapter was trained on; it is changed in place.
        settings: Its adapter_config.json.
        weights: Its adapter_model.safetensors.
        new: Names of weights that are drawn, so that the adapter must bring them.

    Raises:
        ModelError: A file is damaged, does not fit, lacks weights that are drawn, or
            has settings that are not read.
    """
    config = _config(settings)
    state = read_state(read_file(weights), "safetensors", str(weights))
    state = {name.removeprefix(_PREFIX): value for name, value in state.items()}
    try:
        adapted = LoraModel(sam, config, "default")
        wanted = get_peft_model_state_dict(sam, save_embedding_layers=False)
        refuse_misfit(state, wanted, str(weights))
        _refuse_untrained(new, wanted, weights)
        set_peft_model_state_dict(sam, state)
        merged: SamModel = adapted.merge_and_unload(safe_merge=True)
    except ModelError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"the adapter {weights} does not fit Segment Anything: {error}"
        ) from error
    return merged


def _refuse_untrained(new: Collection[str], given: Collection[str], path: Path) -> None:
    """Refuse an adapter without the weights that the base does not have.

    Raises:
        ModelError: They would be random in a model that is called finished.
    """
    lacking = [
        name
        for name in sorted(new)
        if name not in given and not name.startswith(_UNUSED)
    ]
    if lacking:
        raise ModelError(
            f"neither the base nor {path} has masks for the labels of the card: "
            f"{lacking[0]} and {len(lacking) - 1} others would be random. Train with "
            "modules_to_save=['mask_decoder'], or correct the labels"
        )


def _config(path: Path) -> LoraConfig:
    """Return the configuration of an adapter.

    Raises:
        ModelError: It is no LoRA, or a setting is not read and may matter.
    """
    try:
        given = json.loads(read_file(path))
    except ValueError as error:
        raise ModelError(f"{path} is no JSON: {error}") from error
    kind = given.get("peft_type") if isinstance(given, dict) else given
    if kind != "LORA":
        raise ModelError(f"{path} has the peft_type {kind!r}; only LORA is read")
    _refuse_other_settings(given, path)
    try:
        return LoraConfig(**{name: given[name] for name in _READ if name in given})
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path} is no LoRA of this peft: {error}") from error


def _refuse_other_settings(given: Mapping[str, Any], path: Path) -> None:
    """Refuse settings that may change the answer and are not read.

    Raises:
        ModelError: There is one; what is empty or as peft sets it changes nothing.
    """
    usual = LoraConfig().to_dict()
    known = {*_READ, *_NOT_NEEDED}
    if given.get(_INIT, True) in _PLAIN_INITS:
        known.add(_INIT)
    for name, value in given.items():
        if value and name not in known and value != usual.get(name):
            raise ModelError(
                f"{path} sets {name} to {value!r}, which is not read. Merge the "
                "adapter with peft, and give the merged weights as the base"
            )
