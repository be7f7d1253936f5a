"""``sae-merge diagnose``: from a base model and two texts to a diagnosis folder."""

from functools import partial
from pathlib import Path
from typing import Any

import click
from typing_extensions import override

from sae_merge_method.cli.members import WithMembers
from sae_merge_method.cli.output import show, show_log
from sae_merge_method.cli.record_options import config_option, given_options, record_options
from sae_merge_method.cli.worker_options import take_workers, tell, worker_options
from sae_merge_method.diagnose.settings import DiagnoseSettings


class DiagnoseCommand(WithMembers):
    """A command whose help also says which SAEs can be read, and which cannot be used."""

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from sae_merge_method.saes.checks import REFUSALS
        from sae_merge_method.saes.formats import FORMATS

        super().format_epilog(ctx, formatter)
        with formatter.section("Formats of SAEs, in folders and in releases"):
            formatter.write_dl([(row.name, ", ".join(row.files)) for row in FORMATS.values()])
        with formatter.section("What no command takes for an SAE of a layer"):
            formatter.write_dl([(row.name, row.description) for row in REFUSALS.values()])


@click.command("diagnose", cls=DiagnoseCommand)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to write the diagnosis to."
)
@record_options(DiagnoseSettings, from_file=True)
@config_option
@click.option("--overwrite", is_flag=True, help="Replace a diagnosis that stands in --out.")
@worker_options()
@click.pass_context
def command(ctx: click.Context, /, config: Path | None, out: Path, overwrite: bool, **options: Any) -> None:
    """Encode text with a base model's SAEs, and score how specific each layer is to the target text.

    SAEs that listen to attention or to MLPs tell of those modules alone, such as 11.attn and 13.mlp.

    Writes diagnosis.json, diagnosis.html, features.safetensors, draws.safetensors and
    specificity.png into --out, and prints the scores. With --donor it writes attribution.json too: which
    layers carry the donor's gain on the target, and its damage to the controls. Interrupted, the same command
    goes on where it was. With --workers, --gpus or --ray several processes share the documents; so do
    those that torchrun or accelerate launch starts.
    """
    from sae_merge_method.artifacts.attribution import read_attribution
    from sae_merge_method.artifacts.diagnosis import REPORT_FILE
    from sae_merge_method.artifacts.schema import read_settings
    from sae_merge_method.diagnose.run import diagnose
    from sae_merge_method.diagnose.score_ranks import depth_sentence
    from sae_merge_method.diagnose.tables import corpora_grid, layers_grid, surface_grid
    from sae_merge_method.reports.grid import as_text
    from sae_merge_method.together.run import run_together
    from sae_merge_method.together.workers import is_first_process

    workers = take_workers(options)
    settings = read_settings(DiagnoseSettings, given_options(ctx, options), config)
    work = partial(diagnose, settings, out, overwrite=overwrite, report=tell)
    diagnosis = run_together(work, workers, show_log, tell)
    if is_first_process():
        show(as_text(layers_grid(diagnosis)))
        told = (diagnosis.without_saes(), depth_sentence(diagnosis), diagnosis.outliers())
        for sentence in filter(None, told):
            show(f"\n{sentence}")
        for grid in (surface_grid(diagnosis), corpora_grid(diagnosis)):
            if len(grid.header) > 1:
                show(f"\n{as_text(grid)}")
        if settings.donor is not None:
            show(f"\n{read_attribution(out)}")
        show(f"\nTo look at: {out / REPORT_FILE}", err=True)
