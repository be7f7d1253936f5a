"""How fast `sae-merge attribute` and `tune` tell losses, beside lm-eval's log-likelihoods of the same texts.

A random model with the vocabulary of Gemma 3, a word a token: its head is what costs. Prose is predicted
whole, document by document; of problems behind a few-shot prompt the answers are. Both contenders run in
this process, on one thread, in batches of as many tokens; seconds are of processor time, the faster of two.

Run: python benchmarks/losses.py [--layers 6 --width 640 --vocabulary 262144 --documents 24]
"""

import argparse
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from random_models import Sizes, gemma, word_tokenizer

PROSE, PROMPT, OWN, ANSWER = 80, 240, 12, 4
"""Words of a passage; of what all problems begin with, of each one's own, and of its answer."""


def build(options: argparse.Namespace) -> tuple[Any, Any]:
    """A model and its tokenizer."""
    sizes = Sizes(options.width, 3 * options.width, 4, 1, 256, options.vocabulary)
    return gemma(sizes, options.layers).eval(), word_tokenizer(options.vocabulary)


def texts(options: argparse.Namespace) -> dict[str, list[tuple[str, str]]]:
    """Context and continuation of every request."""
    random = np.random.default_rng(0)

    def some(count: int) -> str:
        return " ".join(f"w{n}" for n in random.integers(4, options.vocabulary, count))

    prompt = some(PROMPT)
    return {
        "prose": [("", some(PROSE)) for _ in range(options.documents)],
        "problems": [(f"{prompt} {some(OWN)}", f" {some(ANSWER)}") for _ in range(options.documents)],
    }


def ours(model: Any, tokenizer: Any, requests: list[tuple[str, str]], tokens: int) -> list[float]:
    """Nats of every request by this package."""
    from types import SimpleNamespace

    from sae_merge_method.corpora.batches import make_batches
    from sae_merge_method.corpora.documents import Corpus
    from sae_merge_method.corpora.reading import Problem
    from sae_merge_method.in_memory.losses import total_nats
    from sae_merge_method.in_memory.texts import to_predict

    problems = tuple(Problem(*one) for one in requests)
    corpus = Corpus("requests", "", tuple("".join(one) for one in requests), None, problems)
    loaded: Any = SimpleNamespace(causal=model, device=torch.device("cpu"))
    found = total_nats(loaded, list(make_batches(to_predict(tokenizer, corpus, 1024), tokens)))
    return [found[nth] for nth in range(len(requests))]


def theirs(lm: Any, requests: list[tuple[str, str]]) -> list[float]:
    """The same by lm-eval."""
    from lm_eval.api.instance import Instance

    asked = [Instance("loglikelihood", {}, one, nth) for nth, one in enumerate(requests)]
    return [-log_p for log_p, _ in lm.loglikelihood(asked, disable_tqdm=True)]


def timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Seconds of processor time, the faster of two, and what came of it."""
    took = []
    for _ in range(2):
        start = time.process_time()
        found = work()
        took.append(time.process_time() - start)
    return min(took), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--vocabulary", type=int, default=262_144)
    parser.add_argument("--documents", type=int, default=24)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    from lm_eval.models.huggingface import HFLM

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    model, tokenizer = build(options)
    print(f"{options.layers} layers of {options.width}, {options.vocabulary:,} words, float32, one thread")
    print(f"{'':10}{'ours':>10}{'lm-eval':>10}{'ratio':>8}   largest difference, nats")
    for name, requests in texts(options).items():
        longest = max(len(" ".join(one).split()) for one in requests) + 1
        together = options.documents // 2
        lm = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=together)
        own, found = timed(partial(ours, model, tokenizer, requests, together * longest))
        other, told = timed(partial(theirs, lm, requests))
        apart = float(np.abs(np.subtract(found, told)).max())
        print(f"{name:10}{own:8.2f} s{other:8.2f} s{other / own:7.1f}x   {apart:.5f}")


if __name__ == "__main__":
    main()
