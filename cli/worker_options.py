"""The options of a command whose work several processes may share."""

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import AnyFunction, record_options
from sae_merge_method.together.places import WorkerSettings

tell = partial(show, err=True)
"""Shows a line on stderr, from whichever process: pickle carries it there."""


def worker_options(record: type[WorkerSettings] = WorkerSettings) -> Callable[[AnyFunction], AnyFunction]:
    """Decorate a command with an option for each field of the record."""
    gpus = click.option(
        "--gpus",
        multiple=True,
        metavar="IDS",
        help="GPUs of one worker, such as 0 or 0,1; again for each further worker.",
    )
    others = record_options(record, leave_out=("gpus",))
    return lambda function: others(gpus(function))


def take_workers(options: dict[str, Any]) -> WorkerSettings:
    """What a command's options say of its workers; they are taken out of the others."""
    return read_settings(WorkerSettings, {name: options.pop(name) for name in WorkerSettings.model_fields})
