"""Whether a recipe can run here: its gate, its models, its SAEs, disk and downloads, each looked at."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.errors import ModelError, SaeMergeError
from sae_merge_method.layers import format_layers
from sae_merge_method.models.checkpoint import CONFIG_FILE, Checkpoint, open_checkpoint
from sae_merge_method.models.hub import fetch_file, parse_model_id
from sae_merge_method.recipe.methods import method_named, parse_recipe
from sae_merge_method.recipe.pin import models_of, pin
from sae_merge_method.recipe.preflight import check_donors, check_family
from sae_merge_method.recipe.resolved import ResolvedRecipe
from sae_merge_method.recipe.sizes import Located, locate
from sae_merge_method.selection import parse_rule, select_layers


@dataclass
class Findings:
    """Collects sentences; a failed check does not end the others."""

    fits: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def fit(self, sentence: str) -> None:
        """Something is as it must be."""
        self.fits.append(sentence)

    def skip(self, sentence: str) -> None:
        """Something could not be checked."""
        self.skipped.append(sentence)

    @contextmanager
    def of(self, subject: str) -> Iterator[None]:
        """Run one check; an error of ours in it becomes a fault."""
        try:
            yield
        except SaeMergeError as error:
            self.faults.append(f"{subject}: {error}")


def check_fit(
    recipe: Recipe, text: str, where: str, located: Mapping[str, Located], findings: Findings
) -> None:
    """Hold gate, diagnosis, SAEs and donors against the base.

    Args:
        recipe: The recipe.
        text: What it was read from.
        where: How messages name it.
        located: Where its models are, by the recipe's names; those that are nowhere are left out.
        findings: Takes what fits and what does not.
    """
    if recipe.base_model not in located:
        findings.skip("gate, diagnosis and donors: the base is missing")
        return
    with findings.of("base"):
        base = _look_into(located[recipe.base_model])
        _check_on_base(ResolvedRecipe(text, where, recipe, base), located, findings)


def _check_on_base(resolved: ResolvedRecipe, located: Mapping[str, Located], findings: Findings) -> None:
    layers = _check_gate(resolved, findings)
    _check_record(resolved.recipe, resolved.base, layers, findings)
    donors: dict[str, Checkpoint] = {}
    with findings.of("donors"):
        for name, model in located.items():
            if name != resolved.recipe.base_model:
                donors[name] = _look_into(model)
        check_family(resolved.base, donors)
        if donors:
            findings.fit("every donor is of the base's kind and width")
    if layers:
        with findings.of("edit"):
            _check_plan(resolved, donors, findings)


def _look_into(model: Located) -> Checkpoint:
    """The model's headers where it is a folder, its config alone where it lies on the Hub."""
    if model.commit is None:
        return open_checkpoint(Path(model.name).expanduser())
    config = fetch_file(model.name, CONFIG_FILE, model.commit)
    if model.missing == 0:
        return open_checkpoint(config.parent)
    raw = config.read_bytes()
    try:
        value = json.loads(raw)
    except ValueError as error:
        raise ModelError(f"the config.json of {model.name} is damaged: {error}") from error
    return Checkpoint(config.parent, value, sha256(raw).hexdigest(), tensors={})


def _check_gate(resolved: ResolvedRecipe, findings: Findings) -> tuple[int, ...]:
    layers: tuple[int, ...] = ()
    with findings.of("gate"):
        layers = resolved.layers
        findings.fit(f"layers {format_layers(layers)} of {resolved.base.n_layers}")
    with findings.of("diagnosis"):
        if resolved.diagnosis is not None:
            findings.fit(
                f"{resolved.diagnosis.path} is a diagnosis of this base, its SAEs have the base's width"
            )
    return layers


def _check_record(recipe: Recipe, base: Checkpoint, layers: tuple[int, ...], findings: Findings) -> None:
    """What ``sae-merge recipe`` noted down of the diagnosis, when the diagnosis itself stayed at home."""
    record = recipe.sae_diagnosis
    if not record:
        return
    with findings.of("sae_diagnosis"):
        if record.get("config_sha256") not in (None, base.config_sha256):
            raise SaeMergeError(
                f"the layers were chosen on {record.get('model')}, whose config.json is not the base's"
            )
        scores, rule = _scores(record), record.get("select")
        if scores and isinstance(rule, str) and layers and not parse_rule(rule).needs("q_values"):
            chosen = select_layers(parse_rule(rule), scores)
            if chosen != layers:
                raise SaeMergeError(
                    f"{rule} of the recorded scores chooses layers {format_layers(chosen)}, "
                    f"the gate has {format_layers(layers)}"
                )
        findings.fit("the recorded diagnosis is of this base, and its scores choose these layers")


def _scores(record: Mapping[str, Any]) -> dict[int, float]:
    scores = record.get("scores")
    if not isinstance(scores, dict):
        return {}
    return {int(layer): float(score) for layer, score in scores.items()}


def _check_plan(resolved: ResolvedRecipe, donors: Mapping[str, Checkpoint], findings: Findings) -> None:
    plan, base = resolved.plan, resolved.base
    if resolved.filter is not None:
        findings.fit(f"{method_named(plan.merge_method).needs} is there")
    adapters = [name for name in plan.donors if parse_model_id(name).adapter]
    headers = {name: donors[name] for name in plan.donors if name in donors and donors[name].tensors}
    if not base.tensors or len(headers) < len(plan.donors) or adapters:
        findings.skip("tensor by tensor: weights are not all at hand, or an adapter is not merged")
        return
    check_donors(plan, base, headers)
    findings.fit("every tensor of the selected layers stands in every donor, in the base's shape")


@dataclass(frozen=True)
class CheckedRecipe:
    """A recipe, where its models are, and whether it all fits."""

    recipe: Recipe
    models: Mapping[str, tuple[Located, ...]]
    """By the recipe's names: the model, and its adapter where it has one."""
    findings: Findings
    pinned: str
    """The recipe's text with every Hub model at a commit."""

    @property
    def missing(self) -> int:
        """Bytes to download."""
        places = {place.name: place for found in self.models.values() for place in found}
        return sum(place.missing for place in places.values())


def check_recipe(text: str, where: str) -> CheckedRecipe:
    """Resolve every model of a recipe, and check that its parts belong together.

    Args:
        text: YAML.
        where: How messages name it.

    Raises:
        RecipeError: It cannot be read; what is wrong beyond that is in ``findings``.
    """
    recipe, findings = parse_recipe(text, where), Findings()
    models: dict[str, tuple[Located, ...]] = {}
    for name in models_of(recipe):
        with findings.of(name):
            models[name] = _locate(name)
    check_fit(recipe, text, where, {name: found[0] for name, found in models.items()}, findings)
    commits = {place.name: place.commit for found in models.values() for place in found if place.commit}
    return CheckedRecipe(recipe, models, findings, pin(text, commits))


def _locate(name: str) -> tuple[Located, ...]:
    return tuple(locate(part.path, part.revision) for part in parse_model_id(name).parts)
