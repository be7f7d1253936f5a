"""What ``sae-merge experiment run`` costs beside its peers' own commands, arm by arm.

    python benchmarks/experiment.py               four arms of the demo's miniature, 840 problems each
    python benchmarks/experiment.py --workers 2
    python benchmarks/experiment.py --workers 2 --whole    every arm of the ready experiment
    python benchmarks/experiment.py --single-layers 30     each layer of a random model, judged by loss alone

By hand, an arm is ``mergekit-yaml`` and ``lm_eval run``, each a process that imports its world anew; with
``--single-layers`` it is merged to the disk and loaded, as ``--keep`` does, by the same worker.
The miniature is taken from the user's cache, or trained first. The plan is made before either is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.experiment.worker import ArmJob, ArmRunner, GeneralCorpus, Setup
from sae_merge_method.files.cache import cache_root
from sae_merge_method.miniature.build import build
from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.recipes import ready_file

FEW_ARMS = ("all-layers", "scalpel")
"""Beside the base and the stethoscope, which every experiment has."""


def lay_out(folder: Path, *, whole: bool) -> None:
    miniature = build(MiniatureSettings(), cache_root() / "miniature")
    shutil.copytree(miniature.texts, folder, dirs_exist_ok=True)
    for name in ("base", "donor", "saes"):
        shutil.copytree(getattr(miniature, name), folder / name)
    experiment = yaml.safe_load(ready_file("experiment/miniature").text)
    del experiment["general_loss"]
    if not whole:
        experiment["arms"] = list(FEW_ARMS)
    (folder / "experiment.yml").write_text(yaml.safe_dump(experiment))


def run(folder: Path, *words: str) -> float:
    """Seconds of one command."""
    script = Path(sys.executable).with_name(words[0])
    environment = {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(folder / ".datasets"),
    }
    start = time.perf_counter()
    done = subprocess.run(
        [str(script), *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def by_hand(folder: Path, arms: Sequence[str]) -> float:
    seconds = 0.0
    for arm in arms:
        model = {"base": "./base", "donor": "./donor"}.get(arm, "")
        if not model:
            model = f"./by-hand/{arm}"
            seconds += run(folder, "mergekit-yaml", f"exp/arms/{arm}/recipe.yml", model, "--quiet")
        words = ["lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model}"]
        words += ["--tasks", "minerva_math_sae", "--num_fewshot", "0", "--device", "cpu"]
        words += ["--batch_size", "150", "--log_samples", "--output_path", f"results/{arm}"]
        seconds += run(folder, *words)
    return seconds


def lay_out_layers(folder: Path, n_layers: int) -> None:
    """A random Llama, one that is near it, and a task of one question."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    miniature = build(MiniatureSettings(), cache_root() / "miniature")
    shutil.copytree(miniature.texts, folder, dirs_exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(miniature.base)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=192, intermediate_size=512, num_hidden_layers=n_layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    for name in ("base", "donor"):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.01 * torch.randn_like(parameter)
    (folder / "question.jsonl").write_text(json.dumps({"text": "One and one are"}))
    task = {
        "task": "question", "dataset_path": "json", "test_split": "test", "num_fewshot": 0,
        "dataset_kwargs": {"data_files": {"test": "question.jsonl"}}, "output_type": "multiple_choice",
        "doc_to_text": "{{text}}", "doc_to_choice": ["two", "three"], "doc_to_target": 0,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }  # fmt: skip
    (folder / "tasks").mkdir()
    (folder / "tasks" / "question.yaml").write_text(yaml.safe_dump(task))


def layer_by_layer(folder: Path, n_layers: int, out: str, *, keep: bool) -> float:
    """Seconds of one arm a layer, by one worker that has lm-eval and the base loaded."""
    evaluation = EvaluationSettings(
        tasks=("question",), include_path=str(folder / "tasks"), device="cpu", batch_size=8
    )
    corpus = read_corpus(str(folder / "general.jsonl"), "text", 48)
    general = GeneralCorpus(corpus.name, corpus.sha256, tuple(corpus.documents))
    runner = ArmRunner(Setup(Path(out), folder, "./base", evaluation, general, keep))
    start = 0.0
    for layer in (None, *range(n_layers)):
        name = "base" if layer is None else f"layer-{layer}"
        arm = ArmIdentity(
            name=name, role="own", description="", method=None, layers=(), weight=None, planned_energy=None,
            planned_realised=None, matched=None,
        )  # fmt: skip
        at = folder / out / "arms" / name
        at.mkdir(parents=True)
        recipe = {
            "merge_method": "sae_stethoscope", "base_model": "./base", "models": [{"model": "./donor"}],
            "parameters": {"layers": str(layer)},
        }  # fmt: skip
        (at / "recipe.yml").write_text(yaml.safe_dump(recipe))
        outcome = runner.run(ArmJob(arm, "./base" if layer is None else None, "", {}))
        if outcome.error is not None:
            sys.exit(f"{name}: {outcome.error}")
        start = start or time.perf_counter()
    return time.perf_counter() - start


def compare_single_layers(folder: Path, n_layers: int) -> None:
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / ".datasets")}
    lay_out_layers(folder, n_layers)
    os.sync()  # or whoever comes first waits for it
    seconds = {out: layer_by_layer(folder, n_layers, out, keep=out == "merged") for out in ("held", "merged")}
    for name in ("held", "merged"):
        print_row(f"one layer an arm, {name}", seconds[name], n_layers, seconds["held"])
    records = [
        [file.read_bytes() for file in sorted((folder / out).glob("arms/*/arm.json"))] for out in seconds
    ]
    print(f"records of the arms: {'the same bytes' if records[0] == records[1] else 'DIFFERENT'}")


def print_row(what: str, seconds: float, arms: int, together: float) -> None:
    print(f"{what:<44}{seconds:>9.1f}{seconds / arms:>9.1f}{seconds / together:>8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1, help="processes of sae-merge experiment run")
    parser.add_argument("--whole", action="store_true", help="every arm of the ready experiment")
    parser.add_argument("--single-layers", type=int, metavar="LAYERS", help="each layer alone, by loss")
    asked = parser.parse_args()
    workers, head = asked.workers, f"{'':<44}{'seconds':>9}{'an arm':>9}{'ratio':>8}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.single_layers:
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n{head}")
            compare_single_layers(folder, asked.single_layers)
            return
        lay_out(folder, whole=asked.whole)
        words = ("experiment.yml", "--out", "exp")
        run(folder, "sae-merge", "experiment", "plan", *words)
        together = run(folder, "sae-merge", "experiment", "run", *words, "--workers", str(workers))
        names = sorted(one.name for one in (folder / "exp" / "arms").iterdir())
        one_by_one = by_hand(folder, names)
    arms = len(names)
    print(f"{arms} arms, 840 problems each, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(head)
    for what, seconds in (
        (f"sae-merge experiment run, {workers} worker{'s' * (workers > 1)}", together),
        ("mergekit-yaml and lm_eval run, one by one", one_by_one),
    ):
        print_row(what, seconds, arms, together)


if __name__ == "__main__":
    main()
