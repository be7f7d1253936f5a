"""click options made from a settings record: the record is the one declaration of each option.

Name, default, bounds, choices and help of an option are those of the record's field; the help is the
string under the field. A record may be split over several commands, or leave fields to hand-written options.
"""

import types
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click
from annotated_types import Ge, Gt, Le, Lt
from click.core import ParameterSource
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sae_merge_method.artifacts.schema import Location, OneOf, Record
from sae_merge_method.cli.members import Member, Members

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def record_options(
    record: type[Record], *, leave_out: Collection[str] = (), from_file: bool = False
) -> Callable[[AnyFunction], AnyFunction]:
    """Decorate a command with an option for each field: those that must be given, then the others, in the
    record's order.

    Args:
        record: The settings.
        leave_out: Fields that get no option here.
        from_file: A file may give what the command line does not: no option is required, and the help of
            those that one of the two has to give says so.
    """
    shown = [(name, field) for name, field in record.model_fields.items() if name not in leave_out]
    made = [
        _option(name, field, from_file=from_file)
        for name, field in sorted(shown, key=lambda one: not one[1].is_required())
    ]

    def decorate(function: AnyFunction) -> AnyFunction:
        for option in reversed(made):
            function = option(function)
        return function

    return decorate


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML file with any option above but --out (text_field: for --text-field), which override it.",
)
"""The file of ``from_file``; it stands behind the record's options."""


def given_options(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Those options that the user wrote, so that others may come from a file."""
    return {
        name: value
        for name, value in options.items()
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }


def _option(name: str, field: FieldInfo, *, from_file: bool) -> Callable[[AnyFunction], AnyFunction]:
    flag = f"--{name.replace('_', '-')}"
    needed = field.is_required()
    told = f"{_help(field)}  [required, here or in --config]" if needed and from_file else _help(field)
    settings: dict[str, Any] = {"help": told, "required": needed and not from_file}
    default = None if field.default is PydanticUndefined else field.default
    kind = _without_none(field.annotation)
    if kind is bool:
        both_ways = f"{flag}/--no-{name.replace('_', '-')}" if default else flag
        return click.option(both_ways, name, is_flag=True, default=default, **settings)
    if get_origin(kind) is tuple:
        entry = get_args(kind)[0]
        registry = next((one for one in get_args(entry)[1:] if isinstance(one, OneOf)), None)
        if registry is not None:
            return click.option(
                flag, name, type=Members(registry), multiple=True, callback=_together,
                default=default or (), show_default=bool(default), **settings,
            )  # fmt: skip
        # Names are listed with commas; a file's name may hold one.
        split = None if entry == Location else listed
        written = tuple(map(str, default or ()))
        as_typed = (",".join(written),) if written and split else written
        return click.option(
            flag, name, multiple=True, callback=split,
            default=as_typed, show_default=bool(written), **settings,
        )  # fmt: skip
    shown = default is not None and default != ""
    return click.option(flag, name, type=_type(kind, field), default=default, show_default=shown, **settings)


def _help(field: FieldInfo) -> str:
    return " ".join((field.description or "").replace("``", "").split())


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        if len(kinds) == 1:
            return kinds[0]
    return annotation


def _type(kind: Any, field: FieldInfo) -> Any:
    for marker in field.metadata:
        if isinstance(marker, OneOf):
            return Member(marker)
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is Path:
        return click.Path(path_type=Path)
    if kind not in (int, float):
        return str
    bounds = {type(marker): marker for marker in field.metadata}
    low, high = bounds.get(Ge) or bounds.get(Gt), bounds.get(Le) or bounds.get(Lt)
    if low is None and high is None:
        return kind
    ranged = click.IntRange if kind is int else click.FloatRange
    return ranged(
        min=getattr(low, "ge", getattr(low, "gt", None)),
        max=getattr(high, "le", getattr(high, "lt", None)),
        min_open=isinstance(low, Gt),
        max_open=isinstance(high, Lt),
    )


def _together(
    ctx: click.Context, parameter: click.Parameter, given: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """Lists of names as one."""
    return tuple(name for names in given for name in names)


def listed(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Names with commas, or the option repeated."""
    return tuple(name for part in given for name in part.split(",") if name)
