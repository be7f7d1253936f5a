"""A config as transformers understands it: its own spellings, and a default where nothing is stated."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any


def understood(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What transformers makes of a config, or of the text decoder's part of one.

    Returns:
        By key, also what the config does not state; None where transformers does not know its type, or
        makes nothing of its values.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        return None
    try:  # of a copy: its classes write into the rotary settings that they are given
        told: dict[str, Any] = CONFIG_MAPPING[kind].from_dict(deepcopy(dict(config))).to_dict()
    except (StrictDataclassError, TypeError, ValueError, AttributeError, KeyError):
        return None  # whatever its classes make of a bad value
    return told


@cache
def own_keys(model_type: str) -> frozenset[str]:
    """The keys that a type of model has of its own: those of every type say nothing of what layers compute.

    Empty where transformers does not know the type.
    """
    from transformers import PretrainedConfig

    of_all = PretrainedConfig().to_dict().keys()
    told = understood({"model_type": model_type}) or {}
    return frozenset(told.keys() - of_all)
