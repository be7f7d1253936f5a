"""``sae-merge tune``: the best edit within a damage budget, as a recipe, judged on texts that were held
back."""

from functools import partial
from pathlib import Path
from typing import Any

import click
from typing_extensions import override

from sae_merge_method.cli.output import show, show_log
from sae_merge_method.cli.worker_options import take_workers, tell, worker_options


class TuneCommand(click.Command):
    """A command whose help ends with the keys of its file and the kinds of edits there are."""

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from sae_merge_method.tune.families import FAMILIES
        from sae_merge_method.tune.settings import TuneSettings

        with formatter.section("Keys of the file"):
            fields = TuneSettings.model_fields.items()
            formatter.write_dl(
                [(name, " ".join((field.description or "").split())) for name, field in fields]
            )
        with formatter.section("families: takes"):
            formatter.write_dl([(family.name, family.description) for family in FAMILIES.values()])


@click.command("tune", cls=TuneCommand)
@click.argument("settings", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write the result to.")
@click.option("--overwrite", is_flag=True, help="Replace a result that stands in --out.")
@worker_options()
def command(settings: Path, out: Path, overwrite: bool, **options: Any) -> None:
    """Find the edit that gains most within a damage budget, and write it as a recipe.

    SETTINGS is a YAML file with base, donor, target, control and budget. Edits are searched in memory on the
    loss of half of the texts, chosen on a quarter, and the winner is judged once on the rest, beside its
    rivals. Writes recipe.yml, tune.json, tune.md and tune.html into --out. Interrupted, the same command goes
    on where it was. With --workers, --gpus or --ray several processes share the edits to measure, each with a
    model of its own; so do those that torchrun or accelerate launch starts.
    """
    from sae_merge_method.artifacts.tune import PAGE_FILE
    from sae_merge_method.reports.grid import as_text
    from sae_merge_method.together.run import run_together
    from sae_merge_method.together.workers import is_first_process
    from sae_merge_method.tune.run import tune
    from sae_merge_method.tune.tables import rival_grid
    from sae_merge_method.tune.words import sentences

    search = partial(tune, settings, out, overwrite=overwrite, report=tell)
    result = run_together(search, take_workers(options), show_log, tell)
    if not is_first_process():
        return
    show(as_text(rival_grid(result)))
    show("")
    for line in sentences(result):
        show(line)
    show(f"To look at: {out / PAGE_FILE}")
    show(f"To run it: sae-merge merge {out / 'recipe.yml'} OUT")
