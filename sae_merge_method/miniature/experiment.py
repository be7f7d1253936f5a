"""The five stages, run through their public commands on a miniature, for every arm.

A step whose result stands already is not done again, so an interrupted run goes on where it was:
every step leaves its result whole or not at all.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from sae_merge_method.artifacts.comparison import COMPARISON_FILE
from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE, Diagnosis, read_diagnosis
from sae_merge_method.layers import format_layers
from sae_merge_method.miniature.arms import Arm, random_layers
from sae_merge_method.miniature.checkpoints import Kept, injected_energy
from sae_merge_method.miniature.commands import Commands
from sae_merge_method.miniature.evaluation import evaluate
from sae_merge_method.miniature.texts import CONTROL_FILE, TARGET_FILE
from sae_merge_method.selection import parse_rule, select_layers

TOP_RULE = "top_k=3"
SCALPEL_RANK = 2
"""Features of a layer that span the projection."""

# Most of a command's time here is start-up on one core, so two at a time fill two cores.
_AT_A_TIME = 2

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Edited:
    """An arm after its edit: where its checkpoint lies and what was put in."""

    arm: Arm
    model: str
    """Checkpoint, relative to the experiment's folder."""
    layers: tuple[int, ...]
    """Layers that differ from the base's."""
    energy: float
    """Sum of squares of what was added to the base."""
    kept: Kept | None = None
    """For a projection: how much of the task vector it kept in its layers."""


def run_stages(commands: Commands, arms: Sequence[Arm], seed: int) -> list[Edited]:
    """Diagnose, choose layers, merge, evaluate and compare; one result per arm, in order.

    Args:
        commands: Runs in a folder that holds ``base``, ``donor``, ``saes``, the corpora and the
            data set, and that receives everything else.
        arms: The first is the base itself.
        seed: Of the random layers.
    """
    with commands.stage("diagnose"):
        diagnosis = diagnose(commands)
    with commands.stage("recipe and merge"):
        edited = _side_by_side(lambda arm: edit(commands, arm, diagnosis, seed), arms)
    with commands.stage("evaluate"):
        _side_by_side(lambda one: evaluate(commands, one.arm.name, one.model), edited)
    with commands.stage("compare"):
        base, *others = edited
        _side_by_side(lambda one: compare(commands, base, one), others)
    return edited


def diagnose(commands: Commands) -> Diagnosis:
    """Stage one: score the base's layers."""
    out = commands.folder / "diagnosis"
    if not (out / DIAGNOSIS_FILE).exists():
        words = ["sae-merge", "diagnose", "--model", "./base", "--sae", "saes/layer_{layer}"]
        words += ["--target", TARGET_FILE, "--control", CONTROL_FILE, "--out", "diagnosis"]
        commands.run("diagnose", words, threads=_AT_A_TIME)
    return read_diagnosis(out)


def edit(commands: Commands, arm: Arm, diagnosis: Diagnosis, seed: int) -> Edited:
    """Stages two and three for one arm: choose layers, and write the edited checkpoint."""
    folder, base = commands.folder, commands.folder / "base"
    n_layers = diagnosis.model.n_layers
    if arm.edit in ("none", "donor"):
        layers = tuple(range(n_layers)) if arm.edit == "donor" else ()
        model = "donor" if arm.edit == "donor" else "base"
        return Edited(arm, model, layers, injected_energy(base, folder / model))
    top = select_layers(parse_rule(TOP_RULE), diagnosis.scores())
    layers = {
        "top": top,
        "all": tuple(range(n_layers)),
        "random": random_layers(n_layers, len(top), top, seed),
    }[arm.pick or "all"]
    model = f"merged/{arm.name}"
    # The diagnosis' own pick is left to the command; the controls name their layers.
    rule = TOP_RULE if arm.pick == "top" else f"layers={format_layers(layers).replace(' ', '')}"
    scalpel = ["--method", "sae_scalpel", "--set", f"rank={SCALPEL_RANK}"]
    _merge(commands, arm.name, rule, model, scalpel if arm.edit == "projected" else [])
    energy = injected_energy(base, folder / model)
    kept = None
    if arm.edit == "projected":
        whole = injected_energy(base, folder / "donor", layers)
        kept = Kept(energy, whole, chance=SCALPEL_RANK / diagnosis.model.d_model)
    return Edited(arm, model, layers, energy, kept)


def compare(commands: Commands, base: Edited, edited: Edited) -> None:
    """Stage five: the verdict by subject, kept in ``comparisons/<arm>``."""
    name = edited.arm.name
    out = f"comparisons/{name}"
    if not (commands.folder / out / COMPARISON_FILE).exists():
        results = [f"results/{base.arm.name}", f"results/{name}"]
        commands.run(f"compare {name}", ["sae-merge", "compare", *results, "--out", out])


def _merge(commands: Commands, name: str, rule: str, model: str, method: Sequence[str]) -> None:
    recipe = f"recipes/{name}.yml"
    (commands.folder / "recipes").mkdir(exist_ok=True)
    if not (commands.folder / recipe).exists():
        words = ["sae-merge", "recipe", "--diagnosis", "diagnosis", "--base", "./base"]
        words += ["--donor", "./donor", "--select", rule, "--weight", "1.0", *method, "--out", recipe]
        commands.run(f"recipe {name}", words)
    if not (commands.folder / model).exists():
        commands.run(f"merge {name}", ["sae-merge", "merge", recipe, model])


def _side_by_side(job: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """``job`` of every item, a few at a time; the first failure ends it."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        running = [pool.submit(job, item) for item in items]
        try:
            return [each.result() for each in running]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
