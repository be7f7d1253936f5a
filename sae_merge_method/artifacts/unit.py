"""A layer, or a part of one, as a field of an artifact: ``9`` or ``"11.attn"`` in JSON."""

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from sae_merge_method.errors import UsageError
from sae_merge_method.layers import LayerModule, Unit, parse_units


def _read(value: Any) -> Unit:
    if isinstance(value, LayerModule) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    try:
        units = parse_units(value) if isinstance(value, str) else ()
    except UsageError:
        units = ()
    if len(units) != 1:
        raise ValueError("expected a layer's number, or a part of a layer such as 11.attn")
    return units[0]


def _written(unit: Unit) -> int | str:
    return str(unit) if isinstance(unit, LayerModule) else unit


UnitField = Annotated[
    Unit,
    PlainValidator(_read),
    PlainSerializer(_written, return_type=int | str),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "examples": ["11.attn"]}]}),
]
"""A unit of the gate as a field: a whole layer's number, or text such as "11.attn" for a part of one."""
