"""What configs call one constant of a text decoder: every spelling, of old files and new, read alike."""

from collections.abc import Callable, Mapping
from typing import Any

Config = Mapping[str, Any]
"""The text decoder's part of a config.json."""

UNSTATED = object()
"""What is read where a config does not speak of a constant."""

PARTIAL = "partial_rotary_factor"
FULL = "full_attention"


def stated(*names: str) -> Callable[[Config], Any]:
    """The first of these keys that a config states; null is a value."""

    def read(config: Config) -> Any:
        return next((config[name] for name in names if name in config), UNSTATED)

    return read


def given(*names: str) -> Callable[[Config], Any]:
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
    return settings if attention == FULL and "rope_theta" in settings else None


def rotary_base(attention: str, key: str) -> Callable[[Config], Any]:
    """The base of the rotary angles of one kind of attention; ``key`` is what older configs call it."""

    def read(config: Config) -> Any:
        settings = _rope(config, attention)
        return given(key)(config) if settings is None else settings.get("rope_theta", UNSTATED)

    return read


def rotary_scaling(config: Config) -> Any:
    """How positions are stretched: None where they are not, which is what no word of it means too."""
    settings = config.get("rope_parameters")
    nested = isinstance(settings, dict) and {
        kind: stretched for kind, of_kind in settings.items() if (stretched := _stretched(of_kind))
    }
    if nested:
        return nested[FULL] if list(nested) == [FULL] else nested
    return _stretched(settings if isinstance(settings, dict) else config.get("rope_scaling"))


def _stretched(settings: Any) -> dict[str, Any] | None:
    if not isinstance(settings, dict):
        return None
    elsewhere = ("type", "rope_theta", PARTIAL)
    scaling = {key: value for key, value in settings.items() if key not in elsewhere}
    scaling.setdefault("rope_type", settings.get("type", "default"))
    return None if scaling["rope_type"] == "default" else scaling


def rotary_share(config: Config) -> Any:
    """The share of a head's dimensions that is turned."""
    settings = _rope(config, FULL) or {}
    return settings.get(PARTIAL, given(PARTIAL, "rotary_pct")(config))


def window(config: Config) -> Any:
    """How far back sliding attention looks; None where none slides."""
    return None if config.get("use_sliding_window") is False else stated("sliding_window")(config)


def _layer_types(config: Config) -> Any:
    """Kind of attention by layer; older configs say only which one in N looks at everything."""
    types = config.get("layer_types")
    if isinstance(types, list):
        return types
    pattern = given("sliding_window_pattern", "_sliding_window_pattern")(config)
    return pattern if pattern is UNSTATED else f"one {FULL} in {pattern}"


def attention_pattern(config: Config) -> Any:
    """The same in words that fit both spellings, where they can."""
    types = _layer_types(config)
    if not isinstance(types, list):
        return types
    full = [number + 1 for number, kind in enumerate(types) if kind == FULL]
    every = full[0] if full else 0
    regular = every > 0 and full == list(range(every, len(types) + 1, every))
    return f"one {FULL} in {every}" if regular else types
