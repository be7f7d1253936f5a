"""Options that name a member of a registry, and help that says what each member is.

The registry is asked when help is shown or a value is read, so that a member registered later counts as well.
"""

from typing import Any

import click
from typing_extensions import override

from sae_merge_method.artifacts.schema import OneOf


class Member(click.ParamType):  # type: ignore[type-arg]  # older clicks are no generics
    """The name of a registry's member, or a text that such a name begins."""

    name = "name"

    def __init__(self, registry: OneOf) -> None:
        self.registry = registry

    @override
    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self.registry.choices())}]"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.registry.checked(value)
        except ValueError as error:
            self.fail(f"{error}, got {value!r}" if self.registry.read is None else str(error), param, ctx)


class Members(Member):
    """Names of a registry's members, with commas; empty for none."""

    name = "names"

    @override
    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"{super().get_metavar(param, ctx)},..."

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        return tuple(super(Members, self).convert(name.strip(), param, ctx) for name in names if name.strip())


class WithMembers(click.Command):
    """A command whose help ends with what each member is that its options can name."""

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for param in self.get_params(ctx):
            if isinstance(param.type, Member) and all(param.type.registry.choices().values()):
                with formatter.section(f"{param.opts[0]} takes"):
                    formatter.write_dl(list(param.type.registry.choices().items()))
        super().format_epilog(ctx, formatter)
