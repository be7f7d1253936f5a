"""Several demos that differ in their seed alone, and how many of them support each claim.

One seed tells one story, and another machine, whose processor rounds otherwise, tells another from the same
seed. What several seeds say together is a little more: never evidence about models of real size.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from sae_merge_method.artifacts.conclusions import Answer
from sae_merge_method.artifacts.experiment import Experiment, read_experiment
from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import write_text
from sae_merge_method.layers import format_layers
from sae_merge_method.miniature.demo import EXPERIMENT_FOLDER, MARK_FILE, run_demo
from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.reports.grid import Cell, Grid, as_markdown

CLAIMS_FILE = "claims.md"
"""In the folder of all seeds: the table that is printed."""
ANSWERS: tuple[Answer, ...] = get_args(Answer)


class OverSeeds(NamedTuple):
    """What several seeds say."""

    experiments: Mapping[int, Experiment]
    """By seed."""
    answers: Mapping[str, Counter[Answer]]
    """For each claim, how many seeds gave which answer."""

    @property
    def grid(self) -> Grid:
        """A row a claim."""
        rows = tuple(
            (Cell(claim), *(Cell(str(counted[answer]), float(counted[answer])) for answer in ANSWERS))
            for claim, counted in self.answers.items()
        )
        return Grid(("claim", *ANSWERS), rows, words=frozenset(("claim",)), ruled=frozenset((0,)))

    @property
    def picks(self) -> str:
        """Which layers each seed picked, in a sentence."""
        each = (f"{seed}: {format_layers(one.layers)}" for seed, one in self.experiments.items())
        return f"Layers picked by seed: {'; '.join(each)}."


def run_seeds(
    settings: MiniatureSettings,
    out: Path,
    seeds: int,
    *,
    overwrite: bool = False,
    options: tuple[str, ...] = (),
) -> OverSeeds:
    """Run a demo for each seed in ``out/seed-N``, and count what they say; what is done is kept, arm by arm.

    Args:
        settings: Of the first miniature; the others have the seeds that follow.
        out: Folder of all of them; ``claims.md`` in it holds the table.
        seeds: How many.
        overwrite: Whether to start standing demos from the beginning.
        options: More options of ``sae-merge experiment run``.

    Raises:
        UsageError: ``out`` holds something else.
        CommandError: An experiment failed.
    """
    if (out / MARK_FILE).exists():
        raise UsageError(f"{out} holds a demo of one seed: name another folder for {seeds} seeds")
    experiments = {}
    for seed in range(settings.seed, settings.seed + seeds):
        chosen, folder = settings.model_copy(update={"seed": seed}), out / f"seed-{seed}"
        run_demo(chosen, folder, overwrite=overwrite, options=options)  # what is done in it stays
        experiments[seed] = read_experiment(folder / EXPERIMENT_FOLDER)
    over = over_seeds(experiments)
    write_text(out / CLAIMS_FILE, f"{as_markdown(over.grid)}\n\n{over.picks}\n")
    return over


def over_seeds(experiments: Mapping[int, Experiment]) -> OverSeeds:
    """Count the answers to each claim; claims stand in the order of the first experiment that has them."""
    answers: dict[str, Counter[Answer]] = {}
    for experiment in experiments.values():
        for one in experiment.conclusions:
            answers.setdefault(one.claim, Counter())[one.answer] += 1
    return OverSeeds(dict(experiments), answers)
