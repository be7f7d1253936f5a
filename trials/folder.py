"""Where everything of a trial lies: one folder a model, the same names in it everywhere.

The stages meet in this folder alone; commands are run inside it, so that what they are told is short and the
same on every machine.
"""

from pathlib import Path
from typing import NamedTuple

TIMINGS = "timings.jsonl"
"""A line for every command that was run."""


class DonorName(NamedTuple):
    """One donor: an ability and the seed that it was trained with."""

    ability: str
    seed: int

    def __str__(self) -> str:
        return f"{self.ability}-{self.seed}"


class TrialFolder(NamedTuple):
    """The folder of one model's trial; all its paths are relative to ``root``, but for ``root`` itself."""

    root: Path
    base: str = "./base"
    """The checkpoint; with a dot, for a bare word may be an id of the Hub."""
    saes: str = "saes"
    mixture: str = "texts/mixture.jsonl"
    prose: str = "texts/control/prose.jsonl"
    tasks: str = "tasks"

    def near(self, ability: str) -> str:
        """Text close to an ability that is none of it."""
        return f"texts/control/near-{ability}.jsonl"

    def passages(self, text: str) -> str:
        """The beginnings of a control text, all that is read of it where every token costs time."""
        return f"passages/{Path(text).name}"

    def target(self, ability: str) -> str:
        """Problems for diagnosis and attribution."""
        return f"texts/{ability}/target.jsonl"

    def search(self, ability: str) -> str:
        """Problems for ``tune``."""
        return f"texts/{ability}/search.jsonl"

    def task(self, ability: str) -> str:
        """Name of the ability's task of exact answers."""
        return f"trial_{ability}"

    def donor(self, donor: DonorName) -> str:
        """A donor's checkpoint."""
        return f"./donors/{donor}"

    def donor_record(self, donor: DonorName) -> str:
        """How it was trained: stands when the checkpoint is whole."""
        return f"donors/{donor}.json"

    def diagnosis(self, ability: str) -> str:
        """What ``sae-merge diagnose`` wrote."""
        return f"diagnoses/{ability}"

    def attribution(self, donor: DonorName) -> str:
        """What ``sae-merge attribute`` wrote."""
        return f"attributions/{donor}"

    def tune(self, donor: DonorName) -> str:
        """What ``sae-merge tune`` wrote."""
        return f"tunes/{donor}"

    def experiment(self, donor: DonorName, rounding: str = "") -> str:
        """What ``sae-merge experiment run`` wrote; with a rounding, how all layers do under it."""
        return f"experiments/{donor}-{rounding}" if rounding else f"experiments/{donor}"

    def recipe(self, donor: DonorName, pick: str) -> str:
        """The recipe of one score's pick."""
        return f"picks/{donor}/{pick}.yml"

    def abilities(self) -> tuple[str, ...]:
        """Those that texts stand for."""
        files = (self.root / "texts").glob("*/target.jsonl")
        return tuple(sorted(file.parent.name for file in files))

    def donors(self) -> tuple[DonorName, ...]:
        """Those that are trained."""
        names = (file.stem.rpartition("-") for file in (self.root / "donors").glob("*-*.json"))
        return tuple(sorted(DonorName(ability, int(seed)) for ability, _, seed in names if seed.isdigit()))
