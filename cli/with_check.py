"""A command that hands over to another one when its first word is that one's name."""

from typing import Any

import click
from typing_extensions import override

from sae_merge_method.cli.members import WithMembers


class WithCheck(WithMembers):
    """``recipe ...`` writes a recipe; ``recipe check FILE`` is a command of its own.

    Not a click group: its options would then have to stand before a third command's name.
    """

    @override
    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] != ["check"]:
            return super().make_context(info_name, args, parent, **extra)
        from sae_merge_method.cli.recipe_check import command

        return command.make_context(f"{info_name} check", args[1:], parent, **extra)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)
