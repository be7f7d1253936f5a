"""What an adapter's config asks for: the factor of B A, and kinds of adapters that are not two factors.

Whether the adapter's tensors are there, and fit a model, is left to :mod:`sae_merge_method.models.adapter`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sae_merge_method.errors import ModelError

ADAPTER_CONFIG = "adapter_config.json"
WITH_PEFT = "merge it into its model with peft, and name the merged folder"
_LONGEST, _MOST_REPEATS = 200, 4
"""A pattern from elsewhere that repeats repetitions could be tried for ever."""
_REPEATS = re.compile(r"[*+{?]")


class Variant(NamedTuple):
    """A kind of adapter whose change of the weights is not that of its two factors, or no change at all."""

    is_it: Callable[[Mapping[str, Any]], object]
    """Whether an adapter's config asks for it."""
    reason: str
    """Why it cannot be read here, as the end of a sentence that begins with the adapter."""


def _asks(key: str) -> Callable[[Mapping[str, Any]], object]:
    return lambda config: config.get(key)


VARIANTS = (
    Variant(
        lambda config: config.get("peft_type", "LORA") != "LORA", f"is no LoRA but another kind: {WITH_PEFT}"
    ),
    Variant(
        lambda config: (
            str(config.get("init_lora_weights"))
            .lower()
            .startswith(("pissa", "olora", "corda", "loftq", "lora_ga"))
        ),
        "was begun from a part of its model's own weights (init_lora_weights), and belongs to the rest of "
        f"them alone: {WITH_PEFT}",
    ),
    Variant(_asks("alora_invocation_tokens"), "acts only behind its invocation tokens: no weights have that"),
    Variant(_asks("layer_replication"), "repeats layers of its model: layers do not correspond"),
    Variant(_asks("use_qalora"), f"pools its inputs (use_qalora): {WITH_PEFT}"),
    Variant(_asks("use_bdlora"), f"is block-diagonal (use_bdlora): {WITH_PEFT}"),
    Variant(_asks("arrow_config"), "chooses among adapters token by token (arrow): no weights have that"),
    Variant(_asks("kasa_config"), f"scales singular values (kasa): {WITH_PEFT}"),
    Variant(_asks("monteclora_config"), f"draws its weights at random (monteclora): {WITH_PEFT}"),
)
"""All of them, in the order in which they are tried."""


def why_not_two_factors(config: Mapping[str, Any]) -> str | None:
    """Why an adapter of this config cannot be read, as the end of a sentence; None where it can."""
    return next((variant.reason for variant in VARIANTS if variant.is_it(config)), None)


def lora_scale(config: Mapping[str, Any], module: str, a: Sequence[int], b: Sequence[int]) -> float | str:
    """Factor of B A, as peft has it; in words, why there is none.

    Args:
        config: The adapter's.
        module: Name of the module that is changed, without peft's own prefix.
        a: Shape (rank, in) of its first factor.
        b: Shape (out, rank) of its second one.

    Raises:
        ModelError: A pattern of the config cannot be tried.
    """
    rank = _by_pattern(config.get("rank_pattern"), module, config.get("r"))
    alpha = _by_pattern(config.get("alpha_pattern"), module, config.get("lora_alpha"))
    for value, key in ((rank, "r"), (alpha, "lora_alpha")):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            return f"{ADAPTER_CONFIG}: expected a number as {key} of {module}, got {value!r}"
    if not (rank == a[0] == b[1]) or rank == 0:
        return f"{ADAPTER_CONFIG} gives {module} rank {rank}, its factors have {a[0]} and {b[1]}"
    return float(alpha) / float(rank**0.5 if config.get("use_rslora") else rank)


def _by_pattern(patterns: Any, module: str, otherwise: Any) -> Any:
    """peft's lookup: the first pattern that a module's name ends with; patterns are regular expressions."""
    for pattern, value in (patterns if isinstance(patterns, dict) else {}).items():
        if len(pattern) > _LONGEST or len(_REPEATS.findall(pattern)) > _MOST_REPEATS:
            raise ModelError(f"{ADAPTER_CONFIG}: the pattern {pattern[:40]!r} is too intricate to be tried")
        try:
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        except re.error as error:
            raise ModelError(f"{ADAPTER_CONFIG}: {pattern!r} is no pattern: {error}") from error
    return otherwise
