"""Whether the parts of a recipe belong together, from configs alone: no weights are downloaded for it."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.diagnosis import Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.checkpoints import CONFIG_FILE, Checkpoint, open_checkpoint
from sae_merge_method.edit.gate import open_layers
from sae_merge_method.edit.plan import plan_edit
from sae_merge_method.edit.preflight import check_donors, check_family, require_diagnosis_of
from sae_merge_method.errors import ModelError, SaeMergeError
from sae_merge_method.hub import fetch_file
from sae_merge_method.layers import format_layers
from sae_merge_method.model_ids import parse_model_id
from sae_merge_method.selection import parse_rule, select_layers
from sae_merge_method.share.findings import Findings
from sae_merge_method.share.sizes import Located


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
    adapters = [name for name in plan.donors if parse_model_id(name).lora]
    headers = {name: donors[name] for name in plan.donors if name in donors and donors[name].tensors}
    if not base.tensors or len(headers) < len(plan.donors) or adapters:
        findings.skip("tensor by tensor: weights are not all at hand, or an adapter is not merged")
        return
    check_donors(plan, base, headers)
    findings.fit("every tensor of the open layers stands in every donor, in the base's shape")
