"""``sae-merge verify``: audit a merged checkpoint against its own recipe."""

from pathlib import Path

import click

from sae_merge_method.cli.output import show

VIOLATED = 1


@click.command("verify")
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--base",
    help="Base model: folder or Hub id[@revision]. Without it the recipe's, if it is at hand.",
)
@click.option(
    "--donor",
    "donors",
    multiple=True,
    help="Donor model, likewise; once for each donor of the recipe, in its order.",
)
@click.option(
    "--statement",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what was proved to this file, as an in-toto statement to be signed: OUT/out.intoto.json.",
)
@click.pass_context
def command(
    ctx: click.Context,
    checkpoint: Path,
    base: str | None,
    donors: tuple[str, ...],
    statement: Path | None,
) -> None:
    """Prove that a merged checkpoint is what its recipe says, tensor by tensor and file by file.

    The recipe is CHECKPOINT's mergekit_config.yml, by sae-merge or by plain mergekit-yaml. Every tensor
    outside the gate must have the base's bytes, every one inside be base + weight * (donor - base), bit
    for bit (with an adapter, up to the last bits of its sums); config, generation settings, tokenizer,
    chat template and processor must be the base's; nothing may be missing or added, and nothing may lie
    there that a loader would take instead. Without base and donor it is held against edit_report.json:
    its hashes, and the weights and parameters it records. The base of an edit in place lies in its
    journal; a base that is CHECKPOINT itself proves nothing. Exit code 1 if anything is violated, or
    nothing is proved.
    """
    from sae_merge_method.verify.audit import verify

    report = verify(checkpoint, base, donors, statement=statement)
    show(report)
    if statement is not None:
        show(f"{statement}" if report.sound else f"{statement} was not written")
    if not report.sound:
        ctx.exit(VIOLATED)
