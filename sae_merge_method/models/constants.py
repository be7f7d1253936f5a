"""What two configs must agree in for a task vector between their models to mean anything.

One row a constant, and nothing else lists them: heads and widths are the families' own
(``models.families``). Configs are compared as they are written, old and new spellings alike; a
constant that one side does not state is not compared, since only its model's code knows the default.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.families import vocabulary

Config = Mapping[str, Any]
"""The text decoder's part of a config.json."""

UNSTATED = object()
"""What a row reads where a config does not speak of its constant."""


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


class Mismatch(NamedTuple):
    """A constant in which base and donor differ."""

    key: str
    of_base: Any
    of_donor: Any


def mismatches(base: Checkpoint, donor: Checkpoint) -> Iterator[Mismatch]:
    """The constants, depth, widths and heads in which two models of one type differ, in the tables' order."""
    return differing(stated_constants(base.text_config), stated_constants(donor.text_config))


def stated_constants(config: Config) -> dict[str, Any]:
    """By key, the widths, heads and constants that a config states, in the tables' order."""
    shapes = {key: config[key] for key in vocabulary().shapes if config.get(key) is not None}
    constants = {row.name: row.read(config) for row in CONSTANTS.values()}
    return shapes | {key: value for key, value in constants.items() if value is not UNSTATED}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Mismatch]:
    """What two models state differently; both as :func:`stated_constants` gives it."""
    for key in one:
        if key in other and one[key] != other[key]:
            yield Mismatch(key, one[key], other[key])


def constant_names() -> tuple[str, ...]:
    """Every key in which models are compared, each once."""
    return tuple(dict.fromkeys((*vocabulary().shapes, *CONSTANTS)))


def _key(*names: str) -> Callable[[Config], Any]:
    """The first of these keys that a config states; null is a value."""

    def read(config: Config) -> Any:
        return next((config[name] for name in names if name in config), UNSTATED)

    return read


def _set(*names: str) -> Callable[[Config], Any]:
    """The first of these keys that a config gives a value; null is as good as nothing."""

    def read(config: Config) -> Any:
        return next((config[name] for name in names if config.get(name) is not None), UNSTATED)

    return read


def _rope(config: Config, attention: str) -> Config | None:
    """Rotary settings as transformers 5 writes them, one set for all layers or one a kind of attention."""
    settings = config.get("rope_parameters")
    if not isinstance(settings, dict):
        return None
    of_kind = settings.get(attention)
    if isinstance(of_kind, dict):
        return of_kind
    return settings if attention == _FULL and "rope_theta" in settings else None


def _theta(attention: str, key: str) -> Callable[[Config], Any]:
    def read(config: Config) -> Any:
        settings = _rope(config, attention)
        return _set(key)(config) if settings is None else settings.get("rope_theta", UNSTATED)

    return read


def _scaling(config: Config) -> Any:
    """How positions are stretched: None where they are not, which is what no word of it means too."""
    settings = _rope(config, _FULL)
    stated = config.get("rope_scaling") if settings is None else settings
    if not isinstance(stated, dict):
        return None
    scaling = {key: value for key, value in stated.items() if key not in ("type", "rope_theta")}
    scaling.setdefault("rope_type", stated.get("type", "default"))
    return None if scaling["rope_type"] == "default" else scaling


def _window(config: Config) -> Any:
    return None if config.get("use_sliding_window") is False else _key("sliding_window")(config)


def _layer_types(config: Config) -> Any:
    """Kind of attention by layer; older configs say only which one in N looks at everything."""
    types = config.get("layer_types")
    if isinstance(types, list):
        return types
    pattern = _set("sliding_window_pattern", "_sliding_window_pattern")(config)
    return pattern if pattern is UNSTATED else f"one {_FULL} in {pattern}"


def _pattern(config: Config) -> Any:
    """The same in words that fit both spellings, where they can."""
    types = _layer_types(config)
    if not isinstance(types, list):
        return types
    full = [number + 1 for number, kind in enumerate(types) if kind == _FULL]
    every = full[0] if full else 0
    regular = every > 0 and full == list(range(every, len(types) + 1, every))
    return f"one {_FULL} in {every}" if regular else types


_FULL = "full_attention"

CONSTANTS: dict[str, Constant] = {
    row.name: row
    for row in (
        Constant("num_hidden_layers", _set(*vocabulary().layer_counts)),
        Constant("rope_theta", _theta(_FULL, "rope_theta")),
        Constant("rope_local_base_freq", _theta("sliding_attention", "rope_local_base_freq")),
        Constant("rope_scaling", _scaling),
        Constant("partial_rotary_factor", _set("partial_rotary_factor", "rotary_pct")),
        Constant("rms_norm_eps", _set("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps")),
        Constant("hidden_act", _set("hidden_activation", "hidden_act", "activation_function")),
        Constant("attn_logit_softcapping", _key("attn_logit_softcapping")),
        Constant("final_logit_softcapping", _key("final_logit_softcapping")),
        Constant("query_pre_attn_scalar", _set("query_pre_attn_scalar")),
        Constant("sliding_window", _window),
        Constant("layer_types", _pattern),
        Constant("num_experts_per_tok", _set("num_experts_per_tok")),
    )
}
"""All constants by name."""
