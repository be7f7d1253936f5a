"""The text decoder's part of a config: nested in a multimodal one, or flat beside the vision tower's.

Qwen2-VL and Qwen2.5-VL were published flat; transformers nests them as it reads them, and saves them so.
"""

from collections.abc import Mapping
from typing import Any

from sae_merge_method.models.families import family_of

_NESTED = "text_config"
_TOWER = "vision_config"


def is_multimodal(config: Mapping[str, Any]) -> bool:
    """Whether the text decoder is one module among several."""
    return isinstance(config.get(_NESTED), dict) or _flat_type(config) is not None


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a config says of the text decoder, in either form; the config itself where it is of text alone."""
    nested, flat = config.get(_NESTED), _flat_type(config)
    if isinstance(nested, dict):
        return nested
    if flat is None:
        return config
    return {key: value for key, value in config.items() if key != _TOWER} | {"model_type": flat}


def _flat_type(config: Mapping[str, Any]) -> str | None:
    """The type of the text decoder of a flat config, as transformers calls it; None where it is not flat."""
    named = f"{config.get('model_type')}_text"
    is_flat = isinstance(config.get(_TOWER), dict) and config.get(_NESTED) is None
    return named if is_flat and family_of(named) is not None else None
