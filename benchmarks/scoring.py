"""How fast `sae-merge score` scores, and in how much memory: nulls and intervals of every layer.

Usage is drawn at random and written as `sae-merge diagnose` writes it: features fire at rates evenly spread
over powers of ten, as features of trained SAEs do, a document uses those that fire on any of its tokens, and
the target's documents use one in ten of them twice as much. What is timed is what the command does with it:
the score under every shuffle of the labels and over every resample, and every other formula with at most 100
shuffles. A few layers are written and read in turn: what scoring costs does not depend on which they are.

Beside it stand the bare matrix products of one score's shuffles and resamples, dense and in float64: what
the draws would take if nothing but means were made of them. The share is theirs of the whole. Scoring and
products each run in a process of their own, so that each has its own peak memory.

Run: python benchmarks/scoring.py [--layers 34 --features 16384 --documents 2000 --draws 1000]
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TOKENS = 512
"""Of a document."""
RAREST = 1e-5
"""Firing rate of the rarest feature."""
WRITTEN = 3
"""Layers that are written."""


def firing_rates(features: int, active: float) -> np.ndarray:
    """(F,) evenly spread over powers of ten, summing to the features active at a token."""
    steps = np.linspace(0, 1, features)
    low, high = math.log(RAREST), 0.0
    for _ in range(60):
        middle = (low + high) / 2
        total = (RAREST * np.exp(steps * (middle - math.log(RAREST)))).sum()
        low, high = (middle, high) if total < active else (low, middle)
    return RAREST * np.exp(steps * (high - math.log(RAREST)))


def write_layer(folder: Path, layer: int, options: argparse.Namespace) -> int:
    """One layer's usage of all documents; returns its entries."""
    from sae_merge_method.artifacts.layer_usage import pack_layer
    from sae_merge_method.artifacts.usage import Documents, write_usage

    random = np.random.default_rng(layer)
    used = 1 - (1 - random.permutation(firing_rates(options.features, options.active))) ** TOKENS
    rows = [np.flatnonzero(random.random(options.features) < used) for _ in range(options.documents)]
    lengths, indices = np.array([len(row) for row in rows]), np.concatenate(rows)
    side = np.arange(options.documents) * 2 // options.documents
    means = random.exponential(size=len(indices))
    means[(np.repeat(side, lengths) == 0) & (indices % 10 == 0)] *= 2
    counts = 1 + random.poisson(TOKENS * used[indices] / 10)
    usage = pack_layer(options.features, np.full(options.documents, TOKENS), lengths, indices, means, counts)
    folder.mkdir(parents=True)
    write_usage(folder, Documents(side, np.arange(options.documents)), {layer: usage})
    return len(indices)


def score(work: Path, options: argparse.Namespace) -> None:
    """What the command does between reading the usage and writing the diagnosis."""
    from sae_merge_method.artifacts.layer_usage import LayerUsage
    from sae_merge_method.artifacts.usage import UsageReader
    from sae_merge_method.diagnose.scoring import score_layers
    from sae_merge_method.diagnose.settings import ScoringSettings
    from sae_merge_method.layers import Unit

    readers = [UsageReader(folder) for folder in sorted(work.iterdir())]
    settings = ScoringSettings(score=options.score, permutations=options.draws, bootstrap=options.draws)

    def read(unit: Unit) -> LayerUsage:
        assert isinstance(unit, int)
        return readers[unit % len(readers)].layer(unit % len(readers))

    scored = score_layers(
        range(options.layers),
        read,
        readers[0].documents,
        settings,
        ["control"],
    )
    assert all(entry.null and entry.interval for entry in scored.layers)


def products(_work: Path, options: argparse.Namespace) -> None:
    """The means of one score's draws for one layer: shuffles, and resamples of either side."""
    import torch

    half = options.documents // 2
    usage = torch.rand(options.documents, options.features, dtype=torch.float64)
    shuffles = torch.rand(options.draws, options.documents, dtype=torch.float64)
    for start in range(0, options.draws, 128):
        block = shuffles[start : start + 128]
        block @ usage
        block[:, :half] @ usage[:half]
        block[:, half:] @ usage[half:]


CONTENDERS = {"score": score, "products": products}


def run(contender: str, work: Path, options: argparse.Namespace) -> dict[str, float]:
    """Time one contender in this process."""
    import scipy.stats  # noqa: F401  (what is imported once is no part of it)
    import torch

    import sae_merge_method.diagnose.scoring  # noqa: F401

    torch.set_num_threads(options.threads)
    libraries = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, start_busy = time.perf_counter(), time.process_time()
    CONTENDERS[contender](work, options)
    return {
        "seconds": time.perf_counter() - start,
        "busy": time.process_time() - start_busy,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "libraries": libraries / 1e6,
    }


def measure(contender: str, work: Path, options: argparse.Namespace) -> dict[str, float]:
    """Run a contender in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--contender",
        contender,
        "--work",
        str(work),
        "--score",
        options.score,
    ]
    for name in ("layers", "features", "documents", "draws", "threads"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("layers", 34), ("features", 16384), ("documents", 2000), ("draws", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--active", type=float, default=20, help="Features active at a token.")
    parser.add_argument("--threads", type=int, default=2, help="Cores to use.")
    parser.add_argument("--score", default="kl_bits", help="The score that is drawn for.")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print(json.dumps(run(options.contender, options.work, options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        entries = [
            write_layer(work / f"{layer}", layer, options) for layer in range(min(WRITTEN, options.layers))
        ]
        scoring, bare = measure("score", work, options), measure("products", work, options)
    print(
        f"{options.layers} layers x {options.features:,} features x {options.documents:,} documents "
        f"({sum(entries) / len(entries) / options.documents:,.0f} features a document), {options.draws:,} "
        f"shuffles and as many resamples of {options.score}, {options.threads} threads"
    )
    print(
        f"scoring {scoring['seconds']:.1f} s ({scoring['busy']:.1f} s of processor time, "
        f"{scoring['busy'] / options.layers:.2f} a layer), peak {scoring['peak']:.2f} GB, "
        f"{scoring['libraries']:.2f} of it libraries"
    )
    least = bare["busy"] * options.layers
    print(
        f"bare matrix products of the draws, dense, float64: {least:.1f} s of processor time, "
        f"{least / scoring['busy']:.2f} of it"
    )


if __name__ == "__main__":
    main()
