"""What `sae-merge diagnose` needs in memory and on disk at Gemma 3 4B's size: 34 layers of 16k features.

Peak memory is that of the larger of two stages, measured one by one in processes watched from outside:

- encoding: the real command at the true width (d 2560, bfloat16), less what the model alone needs
  for the same documents. Documents are few and short, for a processor's sake: a full batch of
  2,048 tokens adds what the plan says, which is printed too;
- after it: all layers' usage of 1,000 documents in memory, scored with 1,000 shuffles and as many
  resamples, and written. The usage is drawn at random, `--distinct` features a document: how many
  512 tokens use depends on the SAEs (at most 512 times their active features a token) and makes the size
  of the artifact.

Run: python benchmarks/diagnose_memory.py [--distinct 4000 --skip-encoding]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from random_encoders import build_saes, rare_and_frequent
from random_models import Sizes, save_gemma

if TYPE_CHECKING:
    from sae_merge_method.artifacts.layer_usage import LayerUsage
    from sae_merge_method.layers import Unit

WORDS = 4096
LENGTH = 64
DOCUMENTS = 1000
L0 = 20
FEATURES = 16384
TARGET, CONTROL = "target.txt", "control.txt"
ALONE, AFTER = "alone", "after"
"""Stages that are commands of this file's own: what a model takes by itself, and what follows encoding."""


class Need(NamedTuple):
    """What one run took; bytes."""

    own: int
    """Peak of the memory that is the process's own."""
    resident: int
    """Peak with mapped files, which the system may drop."""
    artifact: int
    seconds: float


def write_corpus(path: Path, documents: int, length: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = (" ".join(f"w{word}" for word in random.integers(4, WORDS, length)) for _ in range(documents))
    path.write_text("\n".join(lines) + "\n")


def pass_alone(work: Path) -> None:
    """The forward passes of the command, and no more."""
    from sae_merge_method.corpora.batches import make_batches
    from sae_merge_method.corpora.documents import read_corpus
    from sae_merge_method.corpora.tokens import tokenize
    from sae_merge_method.loaded.residual_stream import forward
    from sae_merge_method.loaded.text_model import load_text_model

    model = load_text_model(str(work / "model"), "bfloat16")
    for corpus in (work / TARGET, work / CONTROL):
        texts = read_corpus(str(corpus)).documents
        documents = tokenize(model.tokenizer, texts, str(corpus), frozenset(), 1024)
        for batch in make_batches(documents, 2048):
            forward(model, batch, dict.fromkeys(range(len(model.blocks)), lambda residual: None))


def score_and_write(work: Path, options: argparse.Namespace) -> None:
    """What comes after encoding: drawn usage of all layers, two of them scored, all written."""
    from sae_merge_method.artifacts.layer_usage import pack_layer
    from sae_merge_method.artifacts.usage import Documents, write_usage
    from sae_merge_method.diagnose.scoring import score_layers
    from sae_merge_method.diagnose.settings import ScoringSettings

    random = np.random.default_rng(0)
    entries = DOCUMENTS * options.distinct

    def draw() -> LayerUsage:
        used = [np.sort(random.choice(FEATURES, options.distinct, replace=False)) for _ in range(DOCUMENTS)]
        means, fired = random.exponential(size=entries), random.integers(1, 50, entries)
        tokens, lengths = np.full(DOCUMENTS, 512), np.full(DOCUMENTS, options.distinct)
        return pack_layer(FEATURES, tokens, lengths, np.concatenate(used), means, fired)

    usage: dict[Unit, LayerUsage] = {layer: draw() for layer in range(options.layers)}
    documents = Documents(np.arange(DOCUMENTS) * 2 // DOCUMENTS, np.arange(DOCUMENTS))
    # Layers are scored one after the other: two need what all need.
    score_layers([0, 1], usage.__getitem__, documents, ScoringSettings(), ["control"])
    write_usage(work / AFTER, documents, usage)


def watch(command: list[str], artifact: Path | None = None) -> Need:
    """Run a command and follow its memory until it ends."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        own = resident = 0
        while process.poll() is None:
            found = _memory(process.pid)
            own = max(own, found.get("RssAnon", 0))
            resident = max(resident, found.get("VmHWM", 0))
            time.sleep(0.02)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{command[:4]} failed:\n{errors.read().decode()[-2000:]}")
    size = sum(path.stat().st_size for path in artifact.iterdir()) if artifact else 0
    return Need(own, resident, size, time.perf_counter() - start)


def _memory(process: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return {}
    fields = (line.split() for line in lines if line.endswith("kB"))
    return {field[0].rstrip(":"): int(field[1]) * 1024 for field in fields}


def stage(name: str, work: Path, options: argparse.Namespace) -> list[str]:
    """The command that runs one stage alone."""
    sizes = ["--layers", options.layers, "--distinct", options.distinct]
    return [sys.executable, __file__, "--stage", name, "--work", str(work), *map(str, sizes)]


def measure_encoding(work: Path, options: argparse.Namespace) -> Need:
    """The command on four short documents, less its model."""
    out = work / "out"
    write_corpus(work / TARGET, 2, LENGTH, seed=1)
    write_corpus(work / CONTROL, 2, LENGTH, seed=2)
    alone = watch(stage(ALONE, work, options))
    inputs = ["--model", work / "model", "--sae", work / "saes/layer_{layer}", "--dtype", "bfloat16"]
    corpora = ["--target", work / TARGET, "--control", work / CONTROL, "--out", out]
    command = [sys.executable, "-m", "sae_merge_method.cli.main", "diagnose", *map(str, inputs + corpora)]
    whole = watch(command, out)
    return Need(
        whole.own - alone.own, whole.resident - alone.resident, whole.artifact, whole.seconds - alone.seconds
    )


def measure_after(work: Path, options: argparse.Namespace) -> Need:
    """Usage of all documents held, scored and written."""
    (work / AFTER).mkdir()
    return watch(stage(AFTER, work, options), work / AFTER)


def say(stage: str, need: Need) -> None:
    print(
        f"{stage}: {need.own / 1e9:.2f} GB ({need.resident / 1e9:.2f} with mapped files), "
        f"artifact {need.artifact / 1e9:.2f} GB, {need.seconds:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--layers", type=int, default=34)
    parser.add_argument("--width", type=int, default=2560, help="d_model.")
    parser.add_argument("--distinct", type=int, default=4000, help="Features a document uses in a layer.")
    parser.add_argument("--skip-encoding", action="store_true", help="Only what comes after it.")
    parser.add_argument("--stage", choices=(ALONE, AFTER), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if options.stage:
        return pass_alone(options.work) if options.stage == ALONE else score_and_write(options.work, options)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if not options.skip_encoding:
            # Small but for its width.
            sizes = Sizes(options.width, 256, 2, 1, 64, WORDS)
            save_gemma(work / "model", sizes, options.layers, "bfloat16")
            fit = rare_and_frequent(L0)
            build_saes(work / "model", work / "saes", options.layers, FEATURES, fit, tokens=256)
            say(
                f"encoding, {options.layers} layers of 16k at d {options.width}",
                measure_encoding(work, options),
            )
            batch = 2048 * (FEATURES * 4 * 4 + options.width * 16)
            print(f"  and a full batch of 2,048 tokens, by the plan: {batch / 1e9:.2f} GB")
        after = measure_after(work, options)
        say(f"after it, {DOCUMENTS} documents of {options.distinct} features", after)


if __name__ == "__main__":
    main()
