"""``sae-merge attribute``: which layers carry a donor's gain, and which its damage."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.cli.output import show, show_log
from sae_merge_method.cli.record_options import config_option, given_options, record_options
from sae_merge_method.cli.worker_options import take_workers, tell, worker_options


@click.command("attribute", context_settings={"show_default": True})
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to write the attribution to."
)
@record_options(AttributeSettings, from_file=True)
@config_option
@click.option("--overwrite", is_flag=True, help="Replace an attribution that stands in --out.")
@worker_options()
@click.pass_context
def command(ctx: click.Context, /, config: Path | None, out: Path, overwrite: bool, **options: Any) -> None:
    """Tell which layers and tensors carry a donor's gain on the target, and its damage to the controls.

    The slope of the loss along the task vector is summed on the way from base to donor, until the parts add
    up to what the donor gains. No SAE is needed. Writes attribution.json, attribution.html and
    attribution.safetensors into --out, and prints the layers and their scores. Interrupted, the same command
    goes on where it was. With --workers, --gpus or --ray several processes share the points on the way; so
    do those that torchrun or accelerate launch starts.
    """
    from sae_merge_method.artifacts.attribution import ATTRIBUTION_PAGE
    from sae_merge_method.artifacts.schema import read_settings
    from sae_merge_method.attribute.run import attribute
    from sae_merge_method.together.run import run_together
    from sae_merge_method.together.workers import is_first_process

    workers = take_workers(options)
    settings = read_settings(AttributeSettings, given_options(ctx, options), config)
    work = partial(attribute, settings, out, overwrite=overwrite, report=tell)
    attribution = run_together(work, workers, show_log, tell)
    if is_first_process():
        show(attribution)
        show(f"\nTo look at: {out / ATTRIBUTION_PAGE}", err=True)
