"""What ``sae-merge experiment run`` costs beside its peers' own commands, arm by arm.

    python benchmarks/experiment.py               four arms of the demo's miniature, 840 problems each
    python benchmarks/experiment.py --workers 2

By hand, an arm is ``mergekit-yaml`` and ``lm_eval run``, each a process that imports its world anew.
The miniature is taken from the user's cache, or trained first. The plan is made before either is timed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from sae_merge_method.files.cache import cache_root
from sae_merge_method.miniature.build import build
from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.recipes import ready_file

ARMS = ("stethoscope", "all-layers", "scalpel")


def lay_out(folder: Path) -> None:
    miniature = build(MiniatureSettings(), cache_root() / "miniature")
    shutil.copytree(miniature.texts, folder, dirs_exist_ok=True)
    for name in ("base", "donor", "saes"):
        shutil.copytree(getattr(miniature, name), folder / name)
    experiment = yaml.safe_load(ready_file("experiment/miniature").text)
    del experiment["general_loss"]
    (folder / "experiment.yml").write_text(yaml.safe_dump({**experiment, "arms": list(ARMS[1:])}))


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


def by_hand(folder: Path) -> float:
    seconds = 0.0
    for arm in ("base", *ARMS):
        model = "./base"
        if arm != "base":
            model = f"./by-hand/{arm}"
            seconds += run(folder, "mergekit-yaml", f"exp/arms/{arm}/recipe.yml", model, "--quiet")
        words = ["lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model}"]
        words += ["--tasks", "minerva_math_sae", "--num_fewshot", "0", "--device", "cpu"]
        words += ["--batch_size", "150", "--log_samples", "--output_path", f"results/{arm}"]
        seconds += run(folder, *words)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1, help="processes of sae-merge experiment run")
    workers = parser.parse_args().workers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        words = ("experiment.yml", "--out", "exp")
        run(folder, "sae-merge", "experiment", "plan", *words)
        together = run(folder, "sae-merge", "experiment", "run", *words, "--workers", str(workers))
        one_by_one = by_hand(folder)
    arms = 1 + len(ARMS)
    print(f"{arms} arms, 840 problems each, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<44}{'seconds':>9}{'an arm':>9}{'ratio':>8}")
    for what, seconds in (
        (f"sae-merge experiment run, {workers} worker{'s' * (workers > 1)}", together),
        ("mergekit-yaml and lm_eval run, one by one", one_by_one),
    ):
        print(f"{what:<44}{seconds:>9.1f}{seconds / arms:>9.1f}{seconds / together:>8.1f}")


if __name__ == "__main__":
    main()
