"""What lm-eval's results file says of the model, in every version's form.

Its arguments, its name, how long it may answer.
"""

from collections.abc import Mapping
from typing import Any

# Where a backend takes the model from. The first that is there names it, as in lm-eval's own tracker:
# an adapter is handed over together with its base.
_NAMED_BY = ("peft", "lora_local_path", "delta", "pretrained", "model", "path", "engine")


def parse_arguments(value: Any) -> Mapping[str, Any] | None:
    """``model_args`` or ``gen_kwargs`` as a mapping; written as ``key=value,key=value`` by older versions.

    Returns:
        The arguments; empty where there are none, None where the value is neither text nor mapping.
    """
    if isinstance(value, Mapping):
        return value
    if value is None:
        return {}
    if not isinstance(value, str):
        return None
    arguments: dict[str, Any] = {}
    key = ""
    for part in value.split(","):
        name, equals, text = part.partition("=")
        if equals and name.strip().isidentifier():
            key = name.strip()
            arguments[key] = text.strip()
        elif key:
            # A comma inside a value, as in a list or a nested object.
            arguments[key] += f",{part}"
    return arguments


def model_name(raw: Mapping[str, Any], arguments: Mapping[str, Any], otherwise: str) -> str:
    """The model's name: as lm-eval's tracker wrote it, or from the arguments it was loaded by.

    Args:
        raw: The results file.
        arguments: Its model_args.
        otherwise: Name where the file has none.
    """
    if raw.get("model_name"):
        return str(raw["model_name"])
    for key in _NAMED_BY:
        if isinstance(arguments.get(key), str) and arguments[key]:
            return str(arguments[key])
    config = raw.get("config")
    # A model that was handed over as an object has its own name here, others that of their backend.
    return str((config.get("model") if isinstance(config, Mapping) else None) or otherwise)


_LIMIT_KEYS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""What tasks call it; first come, first served, as in lm-eval."""
_USUAL_LIMIT = 256
"""lm-eval's own, where neither task nor model sets another."""


def token_limit(generation: Mapping[str, Any]) -> int | None:
    """How many tokens a task's arguments of generation allow an answer; None where they do not say."""
    return next((limit for key in _LIMIT_KEYS if (limit := _count(generation.get(key)))), None)


def usual_token_limit(model_args: Mapping[str, Any]) -> int:
    """How many tokens an answer may have where the task does not say, as vLLM and APIs are told on loading.

    Args:
        model_args: The backend's arguments.
    """
    return _count(model_args.get("max_gen_toks")) or _USUAL_LIMIT


def _count(value: Any) -> int | None:
    """A number above 0, which older versions may have written as text; None for anything else."""
    try:
        return max(int(value), 0) or None
    except (TypeError, ValueError, OverflowError):
        return None
