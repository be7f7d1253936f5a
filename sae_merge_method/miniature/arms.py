"""The arms of an experiment, as data: which layers are edited, and with how much of the task vector."""

from dataclasses import dataclass
from random import Random
from typing import Literal

Edit = Literal["none", "raw", "projected", "donor"]
Pick = Literal["top", "random", "all"]


@dataclass(frozen=True)
class Arm:
    """One way to edit the base."""

    name: str
    """Also the name of its folders."""
    says: str
    """What it is, for the report."""
    edit: Edit
    """The base itself, the raw task vector, its projection on SAE features, or the donor itself."""
    pick: Pick | None = None
    """Where: the diagnosis' top layers, as many drawn at random, or all."""


BASE = Arm("base", "the model to edit", "none")
DONOR = Arm("donor", "the fine-tuned model itself, nothing merged", "donor")

ARMS = (
    BASE,
    Arm("stethoscope", "raw task vector in the layers the diagnosis picks", "raw", "top"),
    Arm("random", "raw task vector in as many layers drawn at random", "raw", "random"),
    Arm("all", "raw task vector in all layers", "raw", "all"),
    Arm("projected", "task vector projected on SAE features, in the diagnosis' layers", "projected", "top"),
    DONOR,
)


def random_layers(n_layers: int, count: int, other_than: tuple[int, ...], seed: int) -> tuple[int, ...]:
    """``count`` of ``n_layers`` layers, drawn evenly from the sets that differ from ``other_than``.

    Where only one set exists (``count`` is ``n_layers``), it is that set.
    """
    rng = Random(f"random layers {seed}")
    while True:
        drawn = tuple(sorted(rng.sample(range(n_layers), count)))
        if drawn != tuple(sorted(other_than)) or count >= n_layers:
            return drawn
