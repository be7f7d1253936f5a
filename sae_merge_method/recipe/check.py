"""Whether a recipe can run here: its gate, its models, its SAEs, disk and downloads, each looked at."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.diagnosis import Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.recipe import Recipe, parse_recipe
from sae_merge_method.errors import ModelError, SaeMergeError
from sae_merge_method.layers import format_layers
from sae_merge_method.models.checkpoint import CONFIG_FILE, Checkpoint, open_checkpoint
from sae_merge_method.models.hub import fetch_file, parse_model_id
from sae_merge_method.recipe.gate import open_layers
from sae_merge_method.recipe.pin import models_of, pin
from sae_merge_method.recipe.plan import plan_edit
from sae_merge_method.recipe.preflight import check_donors, check_family, require_diagnosis_of
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


def check_fit(recipe: Recipe, located: Mapping[str, Located], findings: Findings) -> None:
    """Hold gate, diagnosis, SAEs and donors against the base.

    Args:
        recipe: The recipe.
        located: Where its models are, by the recipe's names; those that are nowhere are left out.
        findings: Takes what fits and what does not.
    """
    if recipe.base_model not in located:
        findings.skip("gate, diagnosis and donors: the base is missing")
        return
    with findings.of("base"):
        _check_with(recipe, _look_into(located[recipe.base_model]), located, findings)


def _check_with(recipe: Recipe, base: Checkpoint, located: Mapping[str, Located], findings: Findings) -> None:
    layers = _check_gate(recipe, base, findings)
    _check_record(recipe, base, layers, findings)
    donors: dict[str, Checkpoint] = {}
    with findings.of("donors"):
        for name, place in located.items():
            if name != recipe.base_model:
                donors[name] = _look_into(place)
        check_family(base, donors)
        if donors:
            findings.fit("every donor is of the base's kind and width")
    if layers:
        with findings.of("edit"):
            _check_plan(recipe, layers, base, donors, findings)


def _look_into(place: Located) -> Checkpoint:
    """The model's headers where it is a folder, its config alone where it lies on the Hub."""
    if place.commit is None:
        return open_checkpoint(Path(place.name).expanduser())
    config = fetch_file(place.name, CONFIG_FILE, place.commit)
    if place.missing == 0:
        return open_checkpoint(config.parent)
    raw = config.read_bytes()
    try:
        value = json.loads(raw)
    except ValueError as error:
        raise ModelError(f"the config.json of {place.name} is damaged: {error}") from error
    return Checkpoint(config.parent, value, sha256(raw).hexdigest(), tensors={})


def _check_gate(recipe: Recipe, base: Checkpoint, findings: Findings) -> tuple[int, ...]:
    gate = recipe.parameters
    layers: tuple[int, ...] = ()
    with findings.of("gate"):
        layers = open_layers(gate.layers, gate.diagnosis, gate.select, base.n_layers)
        findings.fit(f"layers {format_layers(layers)} of {base.n_layers}")
    if gate.diagnosis is not None:
        path = diagnosis_path(Path(gate.diagnosis))
        with findings.of("diagnosis"):
            diagnosis = read_diagnosis(path)
            require_diagnosis_of(base, recipe.base_model, diagnosis, path)
            _require_width(base, diagnosis, path)
            findings.fit(f"{path} is a diagnosis of this base, its SAEs have the base's width")
    return layers


def _require_width(base: Checkpoint, diagnosis: Diagnosis, path: Path) -> None:
    width = base.text_config.get("hidden_size")
    if width is not None and diagnosis.model.d_model != width:
        raise SaeMergeError(
            f"{path} has SAEs of width {diagnosis.model.d_model}, the base's residual stream has {width}"
        )


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
        if scores and isinstance(rule, str) and layers and not rule.startswith("fdr"):
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


def _check_plan(
    recipe: Recipe,
    layers: tuple[int, ...],
    base: Checkpoint,
    donors: Mapping[str, Checkpoint],
    findings: Findings,
) -> None:
    plan = plan_edit(recipe, layers, base.n_layers)
    if recipe.merge_method == "sae_scalpel":
        findings.fit("every SAE and every feature that the scalpel needs is there")
    adapters = [name for name in plan.donors if parse_model_id(name).adapter]
    headers = {name: donors[name] for name in plan.donors if name in donors and donors[name].tensors}
    if not base.tensors or len(headers) < len(plan.donors) or adapters:
        findings.skip("tensor by tensor: weights are not all at hand, or an adapter is not merged")
        return
    check_donors(plan, base, headers)
    findings.fit("every tensor of the open layers stands in every donor, in the base's shape")


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
    check_fit(recipe, {name: found[0] for name, found in models.items()}, findings)
    commits = {place.name: place.commit for found in models.values() for place in found if place.commit}
    return CheckedRecipe(recipe, models, findings, pin(text, commits))


def _locate(name: str) -> tuple[Located, ...]:
    return tuple(locate(part.path, part.revision) for part in parse_model_id(name).parts)
