"""How fast `sae-merge diagnose` encodes, against the least it could cost and SAELens' own way.

One run, one model, one set of documents, every contender in a process of its own so that each has
its own peak memory. Ratios are of processor time, which other work on the machine disturbs less
than the clock:

- ``forward``: the model's blocks alone;
- ``limit``: forward and the bare encoder matrix products, nothing done with them;
- ``ours``: what `sae-merge diagnose` does before scoring: encode, count, keep;
- ``saelens``: SAETransformerBridge's `run_with_cache_with_saes`, SAELens' own way. It needs its error term,
  which decodes twice: without it later layers would read reconstructions.

The share that the last line tells is of ``limit`` and ``ours`` once more, in turns in one process.

The explained variance is sampled as in a run of 512,000 tokens: one token in 62. Neither surface twins nor
dictionaries beside the SAEs are encoded, nor are the 2,048 tokens read that outliers are held against.

Run: python benchmarks/diagnose.py [--layers 12 --width 16384 --documents 24 --length 128]
     python benchmarks/diagnose.py --real      the shape of Gemma 3 4B: d 2560, 16,384 features
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from diagnose_ways import WAYS, Given
from random_encoders import alike, build_saes
from random_models import Sizes, save_gemma

if TYPE_CHECKING:
    from sae_merge_method.corpora.tokens import Bits
    from sae_merge_method.diagnose.chunks import Chunk
    from sae_merge_method.loaded.text_model import TextModel
    from sae_merge_method.saes.sae import LayerSae

REPEATS = 2
TURNS = 8
WORDS = 4096
CLASS_SHARES = (0.15, 0.02, 0.2, 0.1)
"""Of digits, line breaks, punctuation, template."""
REAL_LAYERS = 2
"""Of a model of d 2560: a group is as many layers, and each costs the same."""


def load(work: Path, options: argparse.Namespace) -> "tuple[TextModel, list[LayerSae], tuple[Chunk, ...]]":
    """The model, its SAEs, and the documents in chunks."""
    from sae_merge_method.corpora.tokens import Document
    from sae_merge_method.diagnose.chunks import make_chunks
    from sae_merge_method.loaded.text_model import load_text_model
    from sae_merge_method.saes.find import find_saes
    from sae_merge_method.saes.opening import load_sae

    model = load_text_model(str(work / "model"))
    addresses = find_saes(str(work / "saes/layer_{layer}"), None, range(options.layers))
    saes = [load_sae(address, options.d_model, model.dtype, model.device) for address in addresses]
    random = np.random.default_rng(0)
    lengths = random.integers(options.length // 2, options.length + 1, options.documents)
    documents = [
        Document(random.integers(4, WORDS, n), np.arange(n) > 0, classes=draw_classes(random, n))
        for n in lengths
    ]
    chunks = make_chunks(documents, options.batch_tokens)
    return model, saes, chunks


def draw_classes(random: np.random.Generator, tokens: int) -> "Bits":
    """Classes of a document's tokens, each class as often as in a text of mathematics."""
    classes = np.zeros(tokens, dtype=np.uint32)
    for nth, share in enumerate(CLASS_SHARES):
        classes |= (random.random(tokens) < share).astype(np.uint32) << np.uint32(nth)
    return classes


def run(contender: str, work: Path, options: argparse.Namespace) -> dict[str, float]:
    """Time one contender, best of a few, and measure its peak memory."""
    from sae_merge_method.loaded.residual_stream import forward

    torch.set_num_threads(options.threads)
    model, saes, chunks = load(work, options)
    # The model's file is mapped: it is in memory once a pass has read it.
    forward(model, chunks[0].batches[0], dict.fromkeys(range(options.layers), lambda residual: None))
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work_once = WAYS[contender](Given(model, saes, chunks, options, work))
    if contender == "saelens":
        loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    costs = [cost(work_once) for _ in range(REPEATS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": min(seconds for seconds, _ in costs),
        "busy": min(busy for _, busy in costs),
        "tokens": sum(chunk.tokens for chunk in chunks),
        "peak": peak / 1024,
        "loaded": loaded / 1024,
    }


def in_turns(work: Path, options: argparse.Namespace) -> dict[str, float]:
    """The share that forward and products have of ours, the two taken in turns: a machine's pace differs from
    one minute to the next by more than they do."""
    torch.set_num_threads(options.threads)
    both = [WAYS[name](Given(*load(work, options), options, work)) for name in ("limit", "ours")]
    turns = [[cost(work_once)[1] for work_once in both] for _ in range(TURNS + 1)]
    shares = sorted(limit / ours for limit, ours in turns[1:])  # the first warms up
    return {"least": shares[0], "median": statistics.median(shares), "most": shares[-1]}


def cost(work_once: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    start, start_busy = time.perf_counter(), time.process_time()
    work_once()
    return time.perf_counter() - start, time.process_time() - start_busy


def measure(contender: str, work: Path, options: argparse.Namespace) -> dict[str, float]:
    """Run a contender in a process of its own."""
    command = [sys.executable, __file__, "--contender", contender, "--work", str(work)]
    for name in ("layers", "width", "documents", "length", "batch_tokens", "threads", "d_model"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr[-2000:]}")
    cost: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--real", action="store_true", help="A group of Gemma 3 4B's layers, without SAELens."
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--d-model", type=int, default=512)
    parser.add_argument("--width", type=int, default=16384)
    parser.add_argument("--documents", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--growth", action="store_true", help="Also vary documents, layers and width.")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.real:
        options.d_model, options.layers = 2560, min(options.layers, REAL_LAYERS)
    if options.contender:
        made = in_turns if options.contender == "turns" else partial(run, options.contender)
        print(json.dumps(made(options.work, options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sizes = Sizes(options.d_model, 4 * options.d_model, 4, 1, 128, WORDS)
        save_gemma(work / "model", sizes, options.layers)
        build_saes(work / "model", work / "saes", options.layers, options.width, alike())
        contenders = ("forward", "limit", "ours") if options.real else ("forward", "limit", "ours", "saelens")
        results = {name: measure(name, work, options) for name in contenders}
        print(
            f"Gemma 3, d {options.d_model}, {options.layers} layers, {options.width} features, "
            f"{results['ours']['tokens']} tokens, {options.threads} threads, float32"
        )
        print(
            f"{'':10}{'seconds':>9}{'cpu s':>8}{'tokens/s':>10}{'limit = 1':>11}{'peak MiB':>10}{'work':>9}"
        )
        least = results["limit"]["busy"]
        for name, result in results.items():
            print(
                f"{name:10}{result['seconds']:9.2f}{result['busy']:8.2f}"
                f"{result['tokens'] / result['seconds']:10.0f}{least / result['busy']:11.2f}"
                f"{result['peak']:10.0f}{result['peak'] - result['loaded']:9.0f}"
            )
        share = measure("turns", work, options)
        print(
            f"forward and encoders' products are {share['median']:.2f} of what the diagnosis takes "
            f"(median of {TURNS} turns, {share['least']:.2f} to {share['most']:.2f})"
        )
        if options.growth:
            print("growth of ours: processor seconds")
            for name, values in (("documents", (16, 32, 64)), ("layers", (3, 6, 12))):
                cells = []
                for value in values:
                    changed = argparse.Namespace(**{**vars(options), name: value})
                    cells.append(f"{value}: {measure('ours', work, changed)['busy']:.2f}")
                print(f"  {name:10} " + "   ".join(cells))
            cells = []
            for width in (4096, 16384, 65536):
                wide = work / f"wide_{width}"
                (wide).mkdir()
                (wide / "model").symlink_to(work / "model")
                build_saes(work / "model", wide / "saes", 3, width, alike())
                changed = argparse.Namespace(**{**vars(options), "layers": 3, "width": width})
                cells.append(f"{width}: {measure('ours', wide, changed)['busy']:.2f}")
            print("  width, 3 layers  " + "   ".join(cells))


if __name__ == "__main__":
    main()
