"""What the tests of running an experiment have in common: its folder, its file, its command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from sae_merge_method.miniature.build import Miniature

SETTINGS: dict[str, Any] = {
    "base": "./base",
    "donor": "./donor",
    "diagnosis": {
        "sae": "saes/layer_{layer}",
        "target": "target.jsonl",
        "control": "control.jsonl",
        "permutations": 20,
        "bootstrap": 20,
    },
    "select": "top_k=2",
    "rank": 2,
    "arms": ["all-layers", "scalpel"],
    "evaluation": {
        "tasks": "minerva_math_sae",
        "num_fewshot": 0,
        "batch_size": 32,
        "device": "cpu",
        "limit": 2,
        "gen_kwargs": {"max_gen_toks": 16},
    },
    "general_loss": {"corpus": "general.jsonl", "max_documents": 5},
}
ARMS = ("base", "stethoscope", "all-layers", "scalpel")


def lay_out(folder: Path, miniature: Miniature) -> Path:
    """Copy a miniature's parts to where SETTINGS look for them."""
    shutil.copytree(miniature.texts, folder, dirs_exist_ok=True)
    for name in ("base", "donor", "saes"):
        shutil.copytree(getattr(miniature, name), folder / name)
    return folder


def write_settings(folder: Path, **changed: Any) -> Path:
    """The experiment's file, with other settings than SETTINGS where told."""
    file = folder / "experiment.yml"
    file.write_text(yaml.safe_dump({**SETTINGS, **changed}))
    return file


def environment(folder: Path) -> dict[str, str]:
    """Of a process that works in ``folder``."""
    return {**os.environ, "HF_DATASETS_CACHE": str(folder / ".datasets")}


def command(*words: object) -> list[str]:
    """sae-merge as a process is started."""
    return [sys.executable, "-m", "sae_merge_method.cli.main", *map(str, words)]


def sae_merge(folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """Run the command in ``folder`` to its end."""
    return subprocess.run(
        command(*words), cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=240
    )


def stamps(folder: Path) -> dict[str, int]:
    """When each file was last written."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in files}


REPORTS = ("experiment.json", "experiment.md", "experiment.html")


def outcome(folder: Path) -> dict[str, bytes]:
    """The reports of an experiment, and the records of its arms."""
    files = [folder / name for name in REPORTS] + sorted(folder.glob("arms/*/arm.json"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
