"""What two configs must agree in for a task vector between their models to mean anything.

Configs are compared as transformers understands them, which fills in what is not stated: one row here for
what has several spellings, then every other key that the type of model has of its own, but for those of
:data:`HARMLESS`. Heads and widths are the families' own (``models.families``). Of a type that transformers
does not know, the rows alone are read as they are written, and what one side does not state is not compared:
only its model's code knows the default.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.families import vocabulary
from sae_merge_method.models.spellings import (
    FULL,
    PARTIAL,
    UNSTATED,
    Config,
    attention_pattern,
    given,
    rotary_base,
    rotary_scaling,
    rotary_share,
    stated,
    window,
)
from sae_merge_method.models.understood import own_keys, understood

AllowedMismatch = Annotated[
    tuple[str, ...],
    Field(
        description="Keys of config.json (rope_theta, rms_norm_eps, ...) in which base and donor may differ; "
        "without it whatever changes the meaning of a layer's weights is refused."
    ),
]
"""A setting of every command that holds donors against their base."""


class Constant(NamedTuple):
    """One constant of a text decoder that is no tensor and yet decides what its layers compute."""

    name: str
    """Its usual key in config.json, by which messages and ``--allow-mismatch`` name it."""
    read: Callable[[Config], Any]
    """Its value in one common spelling, or :data:`UNSTATED`."""
    spellings: tuple[str, ...] = ()
    """All keys that it is read from."""


class Mismatch(NamedTuple):
    """A constant in which base and donor differ."""

    key: str
    of_base: Any
    of_donor: Any


def mismatches(base: Checkpoint, donor: Checkpoint) -> Iterator[Mismatch]:
    """What changes the meaning of a layer's weights between two models of one type, the rows' keys first."""
    one, other = base.text_config, donor.text_config
    if not any(is_compared(key) for key in _differing_keys(one, other)):
        return  # as nearly always, and transformers need not be imported
    read = understood(one), understood(other)
    if read[0] is None or read[1] is None:
        yield from differing(stated_constants(one), stated_constants(other))
    else:
        for mismatch in differing(_constants(read[0]), _constants(read[1])):
            if not _says_depth_again(read[0].get(mismatch.key), read[1].get(mismatch.key)):
                yield mismatch


def stated_constants(config: Config) -> dict[str, Any]:
    """By key, the widths, heads and constants that a config states, in the tables' order."""
    shapes = {key: config[key] for key in vocabulary().shapes if config.get(key) is not None}
    constants = {row.name: row.read(config) for row in CONSTANTS.values()}
    return shapes | {key: value for key, value in constants.items() if value is not UNSTATED}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Mismatch]:
    """What two models state differently; both as :func:`stated_constants` gives it."""
    for key in _differing_keys(one, other):
        if key in one and key in other:
            yield Mismatch(key, one[key], other[key])


def reads_alike(config: Config, key: str, value: Any) -> bool:
    """Whether transformers makes the same of a config that states another value of a constant.

    It corrects some values as it reads them, and writes what it corrected: a copy that it wrote may state
    another value than the original, and yet be the same model.
    """
    other = _stating(config, key, value)
    if other is None:
        return False
    read = understood(config), understood(other)
    if read[0] is None or read[1] is None:
        return False
    return not _differing_keys(_constants(read[0]), _constants(read[1]))


def is_compared(key: str) -> bool:
    """Whether a difference in a key of config.json may change what a layer computes."""
    return not any(fnmatchcase(key, pattern) for pattern in HARMLESS)


def compared_keys(model: Checkpoint) -> tuple[str, ...]:
    """Every key in which models of this one's type are compared, each once."""
    read = understood(model.text_config)
    own = () if read is None else _constants(read)
    return tuple(dict.fromkeys((*vocabulary().shapes, *CONSTANTS, *own)))


def _constants(read: Config) -> dict[str, Any]:
    """All that a config, as transformers understands it, says of what layers compute."""
    spelled = {key for row in CONSTANTS.values() for key in row.spellings}
    others = sorted(key for key in own_keys(read["model_type"]) - spelled if is_compared(key) and key in read)
    told = {key: read[key] for key in others if key not in vocabulary().shapes}
    return {PARTIAL: 1.0} | stated_constants(read) | told  # a type that turns less by default has stated it


def _stating(config: Config, key: str, value: Any) -> dict[str, Any] | None:
    """A config that states another value of a constant, in the spelling that its type acts on.

    None where there is none: of a key that a type passes over, any two values would read alike.
    """
    own, row = own_keys(str(config.get("model_type"))), CONSTANTS.get(key)
    if row is None:
        return None
    acted_on = next((name for name in row.spellings if name in own), None)
    if acted_on is None:
        return None
    others = {name: told for name, told in config.items() if name not in row.spellings}
    if key == "rope_scaling":
        stating = _scaled_otherwise(config, value)
    elif acted_on == "sliding_window" and "use_sliding_window" in own:
        stating = others | {acted_on: value, "use_sliding_window": value is not None}
    else:
        stating = others | {acted_on: value}
    return stating if row.read(stating) == value else None


def _scaled_otherwise(config: Config, value: Any) -> dict[str, Any]:
    """A config with other stretched positions, and rotary settings that are else the same; of settings by
    kind of attention, which say more than one value, it stays as it is."""
    settings = config.get("rope_parameters")
    if not isinstance(settings, dict):
        return {**config, "rope_scaling": value}
    if any(isinstance(of_kind, dict) for of_kind in settings.values()):
        return dict(config)
    kept = {name: settings[name] for name in ("rope_theta", PARTIAL) if name in settings}
    return {name: told for name, told in config.items() if name != "rope_scaling"} | {
        "rope_parameters": kept | (value or {})
    }


def _says_depth_again(one: Any, other: Any) -> bool:
    """Whether two lists of a value a layer differ in how many layers there are, and in nothing else."""
    if not (isinstance(one, list) and isinstance(other, list)):
        return False
    return len(one) != len(other) and all(mine == theirs for mine, theirs in zip(one, other, strict=False))


def _differing_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Keys whose values differ, in order; NaN is as good as NaN."""
    keys = dict.fromkeys((*one, *other))
    return [
        key
        for key in keys
        if one.get(key) != other.get(key) and json.dumps(one.get(key)) != json.dumps(other.get(key))
    ]


def _first(*names: str, named: str | None = None) -> Constant:
    """A row that reads the first of these keys that has a value."""
    return Constant(named or names[0], given(*names), names)


_ROPE = ("rope_parameters", "rope_theta", "rope_scaling", "rope_local_base_freq")

CONSTANTS: dict[str, Constant] = {
    row.name: row
    for row in (
        _first(*vocabulary().layer_counts, named="num_hidden_layers"),
        Constant("rope_theta", rotary_base(FULL, "rope_theta"), _ROPE),
        Constant("rope_local_base_freq", rotary_base("sliding_attention", "rope_local_base_freq"), _ROPE),
        Constant("rope_scaling", rotary_scaling, _ROPE),
        Constant(PARTIAL, rotary_share, (PARTIAL, "rotary_pct")),
        _first("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps"),
        _first("hidden_activation", "hidden_act", "activation_function", named="hidden_act"),
        Constant("attn_logit_softcapping", stated("attn_logit_softcapping"), ("attn_logit_softcapping",)),
        Constant("final_logit_softcapping", stated("final_logit_softcapping"), ("final_logit_softcapping",)),
        _first("query_pre_attn_scalar"),
        Constant("sliding_window", window, ("sliding_window", "use_sliding_window")),
        Constant(
            "layer_types",
            attention_pattern,
            ("layer_types", "sliding_window_pattern", "_sliding_window_pattern", "max_window_layers"),
        ),
        _first("num_experts_per_tok"),
    )
}
"""What has several spellings, or one meaning in several values, by name."""

HARMLESS = (
    "_*", "architectures", "transformers_version", "dtype", "torch_dtype", "use_cache", "return_dict",
    "output_*", "problem_type", "id2label", "label2id", "*token_id", "*_token_index", "vocab_size*",
    "tie_word_embeddings", "max_position_embeddings", "n_positions", "initializer_*", "init_std",
    "*dropout*", "*pdrop", "layerdrop", "pretraining_tp", "*aux_loss*", "*loss_coef", "router_jitter_noise",
    "summary_*", "rescale_prenorm_residual", "slow_but_exact", "num_nextn_predict_layers",
    "no_rope_layer_interval",
)  # fmt: skip
"""Patterns of keys that say who trained a model and how, or what is around its layers: embeddings, the head,
the longest text. A fine-tune may change them, and a task vector of its layers means what it meant."""
