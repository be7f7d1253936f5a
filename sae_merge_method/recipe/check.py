"""Whether a recipe can run here: its models, gate, diagnosis, SAEs and donors, each looked at by itself.

What is wrong with one part does not keep the others from being looked at, and of models on the Hub
nothing but config.json is fetched. Where the models lie is found by ``located``.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from sae_merge_method.artifacts.recipe import AnyRecipe, Recipe
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.errors import RecipeError, SaeMergeError
from sae_merge_method.files.writing import require_no_file, write_text
from sae_merge_method.layers import format_layers
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.hub import parse_model_id
from sae_merge_method.recipe.lineage import oddities
from sae_merge_method.recipe.located import Located, locate, open_located
from sae_merge_method.recipe.methods import method_named, parse_recipe
from sae_merge_method.recipe.pin import models_of, pin
from sae_merge_method.recipe.preflight import check_donors, check_family
from sae_merge_method.recipe.resolved import ResolvedRecipe, read_recipe
from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.reports.numbers import byte_size
from sae_merge_method.selection import choose_layers, parse_rule

Verdict = Literal["fits", "odd", "not checked", "fault"]


class Finding(Record):
    """What was found of one part of a recipe."""

    subject: str
    """The part: a model as the recipe names it, or gate, diagnosis, sae_diagnosis, donors, edit."""
    verdict: Verdict
    """Whether the part is as it must be, odd though not wrong, could not be looked at, or is wrong."""
    text: str
    """What was seen, why it could not be looked at, or what is wrong and was expected."""


class CheckedRecipe(Record):
    """A recipe that was looked over: where its models are, and what was found."""

    recipe: Recipe
    """The recipe."""
    models: dict[str, tuple[Located, ...]]
    """By the recipe's names the models that were found, each with its adapter behind it."""
    findings: tuple[Finding, ...]
    """What was found, in the order of looking."""
    pinned: str
    """The recipe's text with every model on the Hub at a commit."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What keeps the recipe from running."""
        return tuple(finding for finding in self.findings if finding.verdict == "fault")

    @property
    def located(self) -> tuple[Located, ...]:
        """Every model and adapter, once each."""
        return tuple({model.name: model for found in self.models.values() for model in found}.values())

    @property
    def missing(self) -> int:
        """Bytes to download."""
        return sum(model.missing for model in self.located)


def check_recipe(
    recipe: AnyRecipe,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    allow_mismatch: Collection[str] = (),
) -> CheckedRecipe:
    """Look a recipe over, and write it with every Hub model pinned to its commit.

    Args:
        recipe: Its file, its address on the Hub, or what it holds.
        out: File for the pinned recipe, written if nothing is at fault; None for none.
        overwrite: Replace a file that stands there.
        allow_mismatch: Keys of config.json in which donors may differ from the base.

    Raises:
        UsageError: ``out`` exists, or the address is malformed.
        SaeMergeError: The recipe itself cannot be read; what is wrong beyond that is among the findings.
    """
    if out is not None and not overwrite:
        require_no_file(Path(out))
    text, where = read_recipe(recipe)
    parsed, notes = parse_recipe(text, where), _Notes()
    models: dict[str, tuple[Located, ...]] = {}
    for name in models_of(parsed):
        with notes.of(name):
            models[name] = tuple(map(locate, parse_model_id(name).parts))
    if parsed.base_model in models:
        with notes.of("base"):
            base = open_located(models[parsed.base_model][0])
            _check_on_base(ResolvedRecipe(text, where, parsed, base), models, notes, allow_mismatch)
    else:
        notes.add("base", "gate, diagnosis and donors: the base is missing", "not checked")
    commits = {model.name: model.commit for parts in models.values() for model in parts if model.commit}
    checked = CheckedRecipe(
        recipe=parsed, models=models, findings=tuple(notes.findings), pinned=pin(text, commits)
    )
    if out is not None and not checked.faults:
        write_text(Path(out), checked.pinned)
    return checked


class _Notes:
    """Collects findings; an error of ours while a part is looked at becomes its fault."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def add(self, subject: str, text: str, verdict: Verdict = "fits") -> None:
        self.findings.append(Finding(subject=subject, verdict=verdict, text=text))

    @contextmanager
    def of(self, subject: str) -> Iterator[None]:
        try:
            yield
        except SaeMergeError as error:
            self.add(subject, str(error), "fault")


def _check_on_base(
    resolved: ResolvedRecipe,
    models: Mapping[str, tuple[Located, ...]],
    notes: _Notes,
    allow_mismatch: Collection[str],
) -> None:
    layers = _check_gate(resolved, notes)
    _check_record(resolved, layers, notes)
    donors: dict[str, Checkpoint] = {}
    with notes.of("donors"):
        for name, parts in models.items():
            if name != resolved.recipe.base_model:
                donors[name] = open_located(parts[0])
        check_family(resolved.base, donors, allow_mismatch)
        if donors:
            notes.add("donors", "every donor has the base's kind, depth, widths and constants")
    if layers:
        with notes.of("edit"):
            _check_edit(resolved, donors, notes)


def _check_gate(resolved: ResolvedRecipe, notes: _Notes) -> tuple[int, ...]:
    """The selected layers, none where the gate is at fault."""
    layers: tuple[int, ...] = ()
    with notes.of("gate"):
        layers = resolved.layers
        notes.add("gate", f"layers {format_layers(layers)} of {resolved.base.n_layers}")
    with notes.of("diagnosis"):
        if resolved.diagnosis is not None:
            path = resolved.diagnosis.path
            notes.add("diagnosis", f"{path} is a diagnosis of this base, its SAEs have the base's width")
    return layers


def _check_record(resolved: ResolvedRecipe, layers: tuple[int, ...], notes: _Notes) -> None:
    """What ``sae-merge recipe`` noted down of the diagnosis, when the diagnosis itself stayed at home."""
    record = resolved.recipe.sae_diagnosis
    if not record:
        return
    with notes.of("sae_diagnosis"):
        of_base = resolved.recorded is not None and bool(resolved.base.tensors)
        scores, rule = _recorded_scores(record), record.get("select")
        if scores and isinstance(rule, str) and layers and not parse_rule(rule).needs("q_values"):
            chosen = choose_layers(parse_rule(rule), scores)
            if chosen != layers:
                raise RecipeError(
                    f"{rule} of the recorded scores chooses layers {format_layers(chosen)}, "
                    f"the gate has {format_layers(layers)}"
                )
            notes.add("sae_diagnosis", f"{rule} of the recorded scores chooses these layers")
        if of_base:
            notes.add("sae_diagnosis", "the recorded diagnosis is of this base's weights")
        else:
            missing = "no fingerprint is recorded" if resolved.base.tensors else "they are not at hand"
            notes.add("sae_diagnosis", f"whether it is of this base's weights: {missing}", "not checked")


def _recorded_scores(record: Mapping[str, Any]) -> dict[int, float]:
    scores = record.get("scores")
    if not isinstance(scores, dict):
        return {}
    try:
        return {int(layer): float(score) for layer, score in scores.items()}
    except (TypeError, ValueError) as error:
        raise RecipeError(f"expected a score by layer in scores, and {error}") from error


def _check_edit(resolved: ResolvedRecipe, donors: Mapping[str, Checkpoint], notes: _Notes) -> None:
    plan, base = resolved.plan, resolved.base
    if resolved.filter is not None:
        notes.add("edit", f"{method_named(plan.merge_method).needs} is there")
    adapters = [name for name in plan.donors if parse_model_id(name).adapter]
    headers = {name: donors[name] for name in plan.donors if name in donors and donors[name].tensors}
    if not base.tensors or len(headers) < len(plan.donors) or adapters:
        notes.add(
            "edit",
            "tensor by tensor: weights are not all at hand, or an adapter is not merged",
            "not checked",
        )
        return
    check_donors(plan, base, headers)
    notes.add("edit", "every tensor of the selected layers stands in every donor, in the base's shape")
    for oddity in oddities(plan, base, headers):
        notes.add("donors", oddity, "odd")


def check_view(checked: CheckedRecipe) -> View:
    """A table of the models and one of the findings, faults last."""
    models = [
        (
            Cell(f"{model.name}@{model.commit}" if model.commit else model.name),
            Cell(byte_size(model.size), model.size),
            Cell(byte_size(model.missing), model.missing),
        )
        for model in checked.located
    ]
    in_order = sorted(checked.findings, key=lambda finding: get_args(Verdict).index(finding.verdict))
    findings = [
        (
            Cell(finding.verdict.upper() if finding in checked.faults else finding.verdict),
            Cell(finding.subject),
            Cell(finding.text),
        )
        for finding in in_order
    ]
    return View(
        (
            Grid(("model", "size", "to download"), tuple(models), words=frozenset({"model"})),
            Grid(
                ("verdict", "part", "found"),
                tuple(findings),
                words=frozenset({"verdict", "part", "found"}),
            ),
        ),
        tail=(f"{byte_size(checked.missing)} to download in all",),
    )
