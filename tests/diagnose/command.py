"""``sae-merge diagnose``, ``score`` and ``select`` as a user types them, in this process."""

from pathlib import Path

import click
from click.testing import CliRunner, Result

from sae_merge_method.cli import diagnose as diagnose_command

ARTIFACTS = [
    "diagnosis.html",
    "diagnosis.json",
    "draws.safetensors",
    "features.safetensors",
    "specificity.png",
]


def run(command: click.Command, *arguments: object) -> Result:
    """Run a command; errors of ours and of click are raised, as ``main`` would see them."""
    return CliRunner().invoke(
        command, [str(argument) for argument in arguments], catch_exceptions=False, standalone_mode=False
    )


def diagnose(out: Path, model: Path, saes: str, target: Path, control: Path, *more: str) -> Result:
    """Diagnose with few draws."""
    inputs = ["--model", model, "--sae", saes, "--target", target, "--control", control, "--out", out]
    draws = ["--permutations", 200, "--bootstrap", 200]
    return run(diagnose_command.command, *inputs, *draws, *more)
