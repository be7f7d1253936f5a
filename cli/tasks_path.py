"""``sae-merge tasks-path``: where the lm-eval tasks lie."""

import click

from sae_merge_method.cli.output import show
from sae_merge_method.lm_eval_tasks import tasks_path


@click.command("tasks-path")
def command() -> None:
    """Print the folder of the lm-eval tasks, for --include_path.

    Needed only where lm-eval does not find them by itself: lm_eval --include_path "$(sae-merge
    tasks-path)" --tasks minerva_math_sae
    """
    show(tasks_path())
