"""A layer, or a part of one, as a field of an artifact: ``9`` or ``"11.attn"`` in JSON."""

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from sae_merge_method.errors import UsageError
from sae_merge_method.layers import LayerModule, Unit, parse_units


def read_unit(value: Any) -> Unit:
    """A unit as JSON and YAML hold it.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, LayerModule) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    try:
        units = parse_units(value) if isinstance(value, str) else ()
    except UsageError:
        units = ()
    if len(units) != 1:
        raise ValueError("expected a layer's number, or a part of a layer such as 11.attn")
    return units[0]


def written_unit(unit: Unit) -> int | str:
    """As :func:`read_unit` reads it: a whole layer's number, or text for a part of one."""
    return str(unit) if isinstance(unit, LayerModule) else unit


UnitField = Annotated[
    Unit,
    PlainValidator(read_unit),
    PlainSerializer(written_unit, return_type=int | str),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "examples": ["11.attn"]}]}),
]
"""A unit of the gate as a field: a whole layer's number, or text such as "11.attn" for a part of one."""
