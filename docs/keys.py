"""Tables of what a file holds: a row for each field of a record, from its type and the string under it."""

import re
import types
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.layers import LayerModule

_CODE = re.compile(r"``?([^`]+)``?")
_MARKUP = re.compile(r"[*_\[\]|\\]")


def anchor(name: str) -> str:
    """Where the heading of a record is found, on the site and where a page is read as it lies."""
    return name.lower()


def words(text: str) -> str:
    """A sentence of the code as Markdown that shows it as it is, with names between backticks as code."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(
        f"`{part}`" if nth % 2 else _MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", escape(part, quote=False))
        for nth, part in enumerate(parts)
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown themselves."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fields_table(*records: type[Record], linked: bool = False) -> str:
    """The fields of one record, or of several that stand side by side in one file.

    Args:
        records: The records; a field of several is said once.
        linked: Whether the records that fields hold have headings of their own on the page.
    """
    fields = {name: field for record in records for name, field in record.model_fields.items()}
    return table(
        ("key", "type", "default", "what it is"),
        [
            (f"`{name}`", _shown(field.annotation, linked), _default(field), words(field.description or ""))
            for name, field in fields.items()
        ],
    )


def record_tables(root: type[Record], known: set[type[Record]]) -> str:
    """A record, and below it those that it holds and that are not known yet, each under its name."""
    parts = []
    for record in _with_inner(root):
        if record not in known:
            known.add(record)
            about = words((record.__doc__ or "").partition("\n\n")[0])
            head = f"{'##' if record is root else '###'} {record.__name__}"
            parts += [head, about, fields_table(record, linked=True)]
    return "\n\n".join(parts)


def _with_inner(record: type[Record]) -> Iterator[type[Record]]:
    yield record
    for field in record.model_fields.values():
        for inner in _records(field.annotation):
            yield from _with_inner(inner)


def _records(kind: Any) -> Iterator[type[Record]]:
    if isinstance(kind, type) and issubclass(kind, Record):
        yield kind
    for inner in get_args(kind):
        yield from _records(inner)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Record):
        return "theirs"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    Any: "any",
    LayerModule: "text",  # as files hold it
}


def _shown(kind: Any, linked: bool) -> str:
    """A type in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _shown(inner[0], linked)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_shown(one, linked) for one in inner))
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"list of {len(inner)}: {', '.join(_shown(one, linked) for one in inner)}"
    if origin in (tuple, list):
        return f"list of {_shown(inner[0], linked)}"
    if origin is dict:
        return f"{_shown(inner[1], linked)}, by name"
    if isinstance(kind, type) and issubclass(kind, Record):
        return f"[{kind.__name__}](#{anchor(kind.__name__)})" if linked else "the keys below it"
    return "`null`" if kind is type(None) else _NAMES.get(kind, getattr(kind, "__name__", str(kind)))
