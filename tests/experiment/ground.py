"""What the tests of running an experiment have in common: its folder, its file, its command."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sae_merge_method.miniature.build import Miniature

OWN = """\
merge_method: sae_stethoscope
base_model: ./base
models: [{model: ./donor, parameters: {weight: 0.5}}]
parameters: {layers: "1.attn, 3"}
dtype: float32
"""
"""A recipe of the user's, own.yml."""

TASK = """\
task: which_gpu
dataset_path: json
dataset_kwargs: {data_files: {test: control.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{text}}"
doc_to_target: ""
generation_kwargs: {max_gen_toks: 2, until: ["."]}
process_results: !function which_gpu.process_results
metric_list: [{metric: gpu, aggregation: mean, higher_is_better: true}]
"""
CODE = """\
import os, time
from pathlib import Path

def process_results(doc, results):
    while Path("hold").exists():
        time.sleep(0.01)
    return {"gpu": float(os.environ.get("CUDA_VISIBLE_DEVICES", "-1"))}
"""
"""A task of the user's, in tasks/: its score says which GPUs the process was given.

Whoever evaluates it stands still while there is a file named hold, or what a link of that name leads to: there a
test meets a process at work.
"""

GROUP = """\
group: two_subjects
task: [minerva_math_sae_algebra, minerva_math_sae_num_theory]
aggregate_metric_list: [{metric: exact_match, aggregation: mean, weight_by_size: true}]
metadata: {version: 1.0}
"""
"""A group of the user's, in tasks/: two subjects of the benchmark, for seven show nothing more and take longer."""
SUBJECTS = 2

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
    "arms": ["all-layers", "donor", "scalpel", {"mine": "own.yml"}],
    "evaluation": {
        "tasks": ["two_subjects", "which_gpu"],
        "include_path": "tasks",
        "num_fewshot": 0,
        "batch_size": 32,
        "device": "cpu",
        "limit": 2,
        "gen_kwargs": {"max_gen_toks": 16},
    },
    "general_loss": {"corpus": "general.jsonl", "max_documents": 5},
}
ARMS = ("base", "stethoscope", "donor", "all-layers", "scalpel", "mine")
RUN = ("experiment", "run", "experiment.yml", "--out", "exp")


class Finished(NamedTuple):
    """An experiment that two processes have run, each with GPUs of its own, and what they said."""

    folder: Path
    """With everything the experiment reads, and the experiment itself in exp/."""
    stdout: str
    stderr: str

    @property
    def out(self) -> Path:
        return self.folder / "exp"


def lay_out(folder: Path, miniature: Miniature) -> Path:
    """Copy a miniature's parts to where SETTINGS look for them."""
    shutil.copytree(miniature.texts, folder, dirs_exist_ok=True)
    for name in ("base", "donor", "saes"):
        shutil.copytree(getattr(miniature, name), folder / name)
    (folder / "own.yml").write_text(OWN)
    (folder / "tasks").mkdir()
    (folder / "tasks" / "which_gpu.py").write_text(CODE)
    (folder / "tasks" / "which_gpu.yaml").write_text(TASK)
    (folder / "tasks" / "two_subjects.yaml").write_text(GROUP)
    write_settings(folder)
    return folder


def write_settings(folder: Path, **changed: Any) -> Path:
    """The experiment's file, with other settings than SETTINGS where told."""
    file = folder / "experiment.yml"
    file.write_text(yaml.safe_dump({**SETTINGS, **changed}))
    return file


def finish(folder: Path, python: Path) -> Finished:
    """Run the experiment that is laid out in a folder, or take what such a run has left."""
    said = [folder / name for name in ("stdout", "stderr")]
    if not all(file.exists() for file in said):
        words = (*RUN, "--gpus", "3", "--gpus", "5")
        result = subprocess.run(
            command(python, *words), cwd=folder, env=environment(folder), capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        for file, text in zip(said, (result.stdout, result.stderr), strict=True):
            file.write_text(text)
    return Finished(folder, *(file.read_text() for file in said))


def environment(folder: Path) -> dict[str, str]:
    """Of a process that works in ``folder``."""
    return {**os.environ, "HF_DATASETS_CACHE": str(folder / ".datasets")}


def command(python: Path, *words: object) -> list[str]:
    """sae-merge as a process is started."""
    return [str(python), "-m", "sae_merge_method.cli.main", *map(str, words)]


def undo_arms(folder: Path, *arms: str) -> None:
    """Take back what a finished experiment has of some arms: they are to be run again, the diagnosis is not."""
    for arm in arms:
        (folder / "exp" / "arms" / arm / "arm.json").unlink()
        shutil.rmtree(folder / "exp" / "arms" / arm / "results")
    for name in (*REPORTS, "logs"):
        at = folder / "exp" / name
        shutil.rmtree(at) if at.is_dir() else at.unlink()


def stamps(folder: Path) -> dict[str, int]:
    """When each file was last written."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in files}


REPORTS = ("experiment.json", "experiment.md", "experiment.html")


def outcome(folder: Path) -> dict[str, bytes]:
    """The reports of an experiment, and the records of its arms."""
    files = [folder / name for name in REPORTS] + sorted(folder.glob("arms/*/arm.json"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
