"""Records of ours in which every text is one name, whatever fields they have or will have."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

from sae_merge_method.artifacts.schema import OneOf

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)

_KEYS_STAY = frozenset({"counts"})
"""Fields whose keys are names of ours."""


def renamed(value: Any, name: str) -> Any:
    """The same with ``name`` in the place of every text that is no member of a registry of ours."""
    if isinstance(value, BaseModel):
        changed = {
            key: {inside: renamed(one, name) for inside, one in getattr(value, key).items()}
            if key in _KEYS_STAY
            else renamed(getattr(value, key), name)
            for key, field in type(value).model_fields.items()
            if not _is_ours(field.annotation, field.metadata)
        }
        return value.model_copy(update=changed)
    if isinstance(value, str):
        return name
    if isinstance(value, Path):
        return Path(name)
    if isinstance(value, dict):
        return {renamed(key, name): renamed(one, name) for key, one in value.items()}
    return tuple(renamed(one, name) for one in value) if type(value) is tuple else value


def filled(kind: type[AnyRecord], name: str) -> AnyRecord:
    """A record of this kind, its texts ``name``, its collections of one member; not validated."""
    fields = {
        key: _filled(field.annotation, field.metadata, name) for key, field in kind.model_fields.items()
    }
    return kind.model_construct(**fields)


def _is_ours(annotation: Any, metadata: list[Any]) -> bool:
    """Whether a field can only hold what we call things."""
    return get_origin(annotation) is Literal or any(isinstance(mark, OneOf) for mark in metadata)


def _filled(annotation: Any, metadata: list[Any], name: str) -> Any:
    registry = next((mark for mark in metadata if isinstance(mark, OneOf)), None)
    if registry is not None:
        return next(iter(registry.choices()))
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _filled(inside[0], list(inside[1:]), name)
    if origin is Literal:
        return inside[0]
    if origin in (Union, UnionType):
        return _filled(inside[0], [], name)
    if origin is tuple:
        members = inside[:1] if inside[-1] is Ellipsis else inside
        return tuple(_filled(member, [], name) for member in members)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {_filled(inside[0], [], name): _filled(inside[1], [], name)}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return filled(annotation, name)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next(iter(annotation))
    return {str: name, Any: name, Path: Path(name), int: 1, float: 0.5, bool: False, type(None): None}[
        annotation
    ]
