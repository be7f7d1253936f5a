"""``sae-merge tune`` beside the search of mergekit-evolve, on the same budget of passes through the model.

    python benchmarks/tune.py                     the demo's miniature
    python benchmarks/tune.py --settings tune.yml --families damped,learned

mergekit-evolve is CMA-ES over a genome of one weight a layer (``merge_method: task_arithmetic``,
``layer_granularity: 1``), from all layers at weight 1, sigma 1/6: its genome, its start and its package cma
(``pip install cma``), driven here by our own loop, for its objective is lm-eval's and its merges are whole.
Both measure edits in memory on the same search part. The objective is the target's gain less ten times the
damage beyond the budget; then, as with our finalists, the best candidate within the budget on the choice part
is taken. What counts is the report part: how much more the winner gains than all layers damped to its damage.

A pass is one edit's losses on the search part. A slope goes forward and backward through a share of it, and
is counted as three times its tokens.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.files.cache import cache_root
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.miniature.build import build
from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.recipes import ready_file
from sae_merge_method.reports.grid import Cell, Grid, as_text
from sae_merge_method.tune.bench import LOSSES, SLOPES, Bench
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.scaling import MOST, up_to_damage
from sae_merge_method.tune.search import finalists, search
from sae_merge_method.tune.settings import TuneSettings
from sae_merge_method.tune.splits import CHOICE, REPORT, SEARCH, Split, make_splits
from sae_merge_method.tune.store import Store

BEYOND = 10.0
"""What a nat of damage beyond the budget costs, in nats of gain."""
AS_FORWARD = 3.0
"""Passes forward that one forward and backward takes as long as."""


class Result(NamedTuple):
    """What one search came to."""

    name: str
    edit: Edit
    measured: int
    passes: float
    seconds: float


@contextmanager
def miniature() -> Iterator[Path]:
    made = build(MiniatureSettings(), cache_root() / "miniature")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(made.texts, folder, dirs_exist_ok=True)
        for model in ("base", "donor"):
            (folder / model).symlink_to(getattr(made, model))
        text = ready_file("tune/miniature").text
        for word in ("./base", "./donor", "target.jsonl", "general.jsonl"):
            text = text.replace(word, str(folder / word))
        (folder / "tune.yml").write_text(text)
        yield folder / "tune.yml"


class Searching:
    """One bench a search: neither knows what the other measured."""

    def __init__(
        self, edited: EditedModel, splits: dict[str, Split], asked: TuneSettings, folder: Path
    ) -> None:
        self.bench = Bench(edited, splits, Store(folder), asked.tokens_per_step)
        whole = sum(len(one.ids) for side in splits[SEARCH].sides for one in side.documents)
        # As much of the target as of each control, forward and backward.
        self._slope = AS_FORWARD * asked.tokens_per_step * len(splits[SEARCH].sides) / whole
        self._begun = time.perf_counter()

    def passes(self) -> float:
        return self.bench.asked(LOSSES) + self._slope * self.bench.asked(SLOPES)

    def result(self, name: str, tried: list[Edit], budget: float, passes: float) -> Result:
        """Of a few, the one that gains most on the choice part within the budget; else the least harmful."""
        measured = [self.bench.measure(edit, CHOICE) for edit in tried]
        within = [one for one in measured if one.damage <= budget]
        best = max(within, key=lambda one: one.gain) if within else min(measured, key=lambda one: one.damage)
        seconds = time.perf_counter() - self._begun
        return Result(name, best.edit, self.bench.asked(LOSSES), passes, seconds)


def ours(searching: Searching, asked: TuneSettings, budget: float) -> Result:
    found = search(searching.bench, asked, budget, lambda line: print(f"  {line}"))
    passes = searching.passes()
    best = finalists(found.candidates, budget, asked.finalists)
    return searching.result("sae-merge tune", [one.edit for one in best], budget, passes)


def evolve(searching: Searching, asked: TuneSettings, budget: float, passes: float, seed: int) -> Result:
    import cma
    from mergekit.evo.genome import ModelGenome, ModelGenomeDefinition

    genome = ModelGenome(
        ModelGenomeDefinition.model_validate(
            {
                "models": list(asked.donor),
                "merge_method": "task_arithmetic",
                "base_model": asked.base,
                "layer_granularity": 1,
            }
        )
    )
    start = genome.initial_genotype()
    tried: dict[Edit, tuple[float, float, float]] = {}

    def cost(genotype: Any) -> float:
        # (layers, donors, filters, parameters); a weight below 0 is taken without its sign, as there.
        edit = Edit.of(np.minimum(np.abs(np.reshape(genotype, start.shape))[:, :, 0, 0].T, MOST))
        measured = searching.bench.measure(edit, SEARCH)
        beyond = max(0.0, measured.damage - budget)
        tried[edit] = (BEYOND * beyond - measured.gain, measured.damage, measured.gain)
        return tried[edit][0]

    strategy = cma.CMAEvolutionStrategy(
        start.reshape(-1).numpy(), 1 / 6, {"seed": seed, "verbose": -9, "maxfevals": int(passes)}
    )
    while not strategy.stop() and searching.passes() < passes:
        genotypes = strategy.ask()
        strategy.tell(genotypes, [cost(one) for one in genotypes])
    ranked = sorted(tried, key=lambda edit: tried[edit][0])[: asked.finalists]
    return searching.result(f"CMA-ES, seed {seed}", ranked, budget, searching.passes())


def row(result: Result, bench: Bench) -> tuple[Cell, ...]:
    own = bench.measure(result.edit, REPORT)
    everything = bench.every_layer
    damped = [one.measured for one in up_to_damage(bench, everything, REPORT, max(own.damage, 1e-4))]
    same = max((one for one in damped if one.damage <= own.damage), key=lambda one: one.gain, default=None)
    more = own.gain - (same.gain if same is not None else 0.0)
    values = (own.gain, own.damage, more, result.passes)
    cells = (Cell(f"{value:.{places}f}", value) for value, places in zip(values, (4, 4, 4, 0), strict=True))
    return Cell(result.name, result.name), *cells, Cell(f"{result.measured}"), Cell(f"{result.seconds:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settings", type=Path, help="a tune.yml; without it, the miniature's")
    parser.add_argument("--families", help="families to search, with commas between; without it, the file's")
    parser.add_argument("--seeds", type=int, default=1, help="runs of CMA-ES")
    arguments = parser.parse_args()
    if arguments.settings is None:
        with miniature() as settings:
            compare(settings, arguments)
    else:
        compare(arguments.settings, arguments)


def compare(settings: Path, arguments: argparse.Namespace) -> None:
    given = {} if arguments.families is None else {"families": arguments.families.split(",")}
    asked = read_settings(TuneSettings, given, settings)
    budget, target = asked.budget.nats, asked.target
    if budget is None or target is None:
        raise SystemExit("expected a budget in nats, and target texts")
    corpora = [
        read_corpus(name, asked.text_field, asked.max_documents, asked.group_field)
        for name in (target, *asked.control)
    ]
    with (
        tempfile.TemporaryDirectory() as name,
        open_edited(
            asked.base, asked.donor, beside=Path(name) / "x", dtype=asked.dtype, device=asked.device,
            outside=False, hold=asked.hold,
        ) as edited,
    ):  # fmt: skip
        splits = make_splits(edited.model, corpora[0], corpora[1:], asked.max_length, asked.tokens_per_batch)
        first = Searching(edited, splits, asked, Path(name) / "ours")
        results = [ours(first, asked, budget)]
        for seed in range(1, arguments.seeds + 1):
            peer = Searching(edited, splits, asked, Path(name) / f"cma-{seed}")
            results.append(evolve(peer, asked, budget, results[0].passes, seed))
        header = ("search", "gain", "damage", "gain over damping", "passes", "edits measured", "seconds")
        rows = tuple(row(one, first.bench) for one in results)
        print(as_text(Grid(header, rows, words=frozenset(("search",)))))


if __name__ == "__main__":
    main()
