"""The winner as a recipe: a weight for every layer by mergekit's own slices, for every module by its filters
and our gate, so that stock mergekit-yaml runs it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sae_merge_method.artifacts.recipe import TUNE_KEY
from sae_merge_method.artifacts.tuned_edits import Effect, Winner
from sae_merge_method.layers import Unit, layer_of, layers_of, named_units, open_parts, sorted_units, unit_of
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.hub import as_path, open_model
from sae_merge_method.models.rounding import NEAREST, Rounding
from sae_merge_method.recipe.mergekit_form import guarded_form, recipe_text
from sae_merge_method.recipe.methods import METHODS
from sae_merge_method.recipe.named_donors import dtype_lines, how_to_run, open_named
from sae_merge_method.recipe.plan import Donation, EditPlan
from sae_merge_method.reports.numbers import nats

METHOD = "sae_stethoscope"


def check_base(base: str) -> None:
    """Hold a base to the form that the winner's recipe will have, by writing that of no edit at all.

    What recipes ask of donors is asked as they are opened for the search.

    Args:
        base: Its name.

    Raises:
        ModelError: It cannot be had, or no recipe can name all its modules.
    """
    guarded_form(EditPlan(METHOD, as_path(base), {}, None), open_model(base))


def recipe_of(
    winner: Winner,
    base: str,
    donors: Sequence[str],
    budget: float,
    rounding: Rounding = NEAREST,
    allow_mismatch: Collection[str] = (),
) -> str:
    """The text of ``recipe.yml``.

    Args:
        winner: The edit.
        base: The base's name.
        donors: Names of the donors, in the order of the weights.
        budget: Damage that was allowed, in nats a token.
        rounding: How edited values are rounded.
        allow_mismatch: Keys of config.json in which base and donors may differ.

    Raises:
        SaeMergeError: A model cannot be had, or does not fit.
    """
    checkpoint = open_model(base)
    gives = [dict(zip(winner.units, weights, strict=True)) for weights in winner.weights]
    selected = sorted_units(unit for weights in gives for unit, weight in weights.items() if weight)
    donations: dict[int, tuple[Donation, ...]] = {}
    for layer in layers_of(selected):
        inside = [unit for unit in selected if layer_of(unit) == layer]
        donations[layer] = tuple(
            Donation(as_path(donor), _by_part({unit: weights[unit] for unit in inside}, checkpoint))
            for donor, weights in zip(donors, gives, strict=True)
            if any(weights[unit] for unit in inside)
        )
    plan = EditPlan(METHOD, as_path(base), donations, None, rounding=rounding, parts=open_parts(selected))
    opened = open_named(plan, checkpoint, allow_mismatch)
    form = guarded_form(plan, checkpoint) | dtype_lines(plan, checkpoint, opened)
    report = winner.report
    alphas = sorted({weight for weights in winner.weights for weight in weights if weight})
    weights = f"at weight {alphas[0]:g}" if len(alphas) == 1 else "each with a weight of its own"
    note = (
        f"{winner.family} ({winner.shape}): {named_units(plan.layers, checkpoint.n_layers)}, {weights}.",
        f"On texts that were held back it gains {nats(report.gain.delta)} nats a token of the target, at a "
        f"damage of {nats(report.damage.delta)} to {report.control}; {budget:g} was allowed.",
        *_on_task(report),
        f"{METHODS[METHOD].effect}; everything else stays the base's.",
        *how_to_run(plan, checkpoint, opened.values()),
    )
    record: dict[str, Any] = {
        TUNE_KEY: {
            "family": winner.family,
            "shape": winner.shape,
            "budget": budget,
            "gain": report.gain.delta,
            "damage": report.damage.delta,
            "control": report.control,
            **({} if report.task is None else {"score": report.task.score, "score_gain": report.task.change}),
        }
    }
    return recipe_text(note, form, record, "How the weights were found.")


def _by_part(weights: Mapping[Unit, float], base: Checkpoint) -> tuple[tuple[str | None, float], ...]:
    """One donor's weights in what is selected of a layer, by mergekit's filters.

    The last part needs no filter: the gate opens nothing else that the others' names leave.
    """
    *others, (_, last) = weights.items()
    if all(weight == last for _, weight in others):
        return ((None, last),)
    filtered: list[tuple[str | None, float]] = []
    for unit, weight in others:
        inside = [key.part for key in base.layer_tensors if unit_of((unit,), key) is not None]
        filtered += [(name, weight) for name in sorted({part.partition(".")[0] for part in inside})]
    return (*filtered, (None, last))


def _on_task(report: Effect) -> tuple[str, ...]:
    if report.task is None:
        return ()
    return (
        f"On the task's problems that were held back it scores {report.task.score:.4g}, "
        f"{report.task.change:+.4g} beside the base.",
    )
