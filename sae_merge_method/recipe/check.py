"""Whether a recipe can run here: its models, gate, diagnosis, SAEs and donors, each looked at by itself.

What is wrong with one part does not keep the others from being looked at, and of models on the Hub
nothing but config.json is fetched. Where the models lie is found by ``located``.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from sae_merge_method.artifacts.recipe import AnyRecipe
from sae_merge_method.errors import RecipeError
from sae_merge_method.files.writing import require_no_file, write_text
from sae_merge_method.layers import Unit, format_layers, named_units, unit_of, units_word
from sae_merge_method.models.adapter import Adapter
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.hub import is_same_model, parse_model_id
from sae_merge_method.recipe.evidence import recorded_scores
from sae_merge_method.recipe.findings import CheckedRecipe, Notes
from sae_merge_method.recipe.lineage import oddities
from sae_merge_method.recipe.located import Located, locate, open_located, open_located_adapter
from sae_merge_method.recipe.methods import method_named, parse_recipe
from sae_merge_method.recipe.pin import donors_of, models_of, pin
from sae_merge_method.recipe.precision import precision_of, rounded_by_mergekit
from sae_merge_method.recipe.preflight import check_donors, check_dtype, check_family, require_plain
from sae_merge_method.recipe.resolved import ResolvedRecipe, read_recipe
from sae_merge_method.selection import choose_layers, parse_rule


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
    parsed, notes = parse_recipe(text, where), Notes()
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


def _check_on_base(
    resolved: ResolvedRecipe,
    models: Mapping[str, tuple[Located, ...]],
    notes: Notes,
    allow_mismatch: Collection[str],
) -> None:
    layers = _check_gate(resolved, notes)
    _check_record(resolved, layers, notes)
    donors: dict[str, Checkpoint] = {}
    with notes.of("donors"):
        for name, parts in models.items():
            if name != resolved.recipe.base_model:
                donors[name] = open_located(parts[0])
        for what, model in (
            ("base", resolved.base),
            *((f"donor {name}", one) for name, one in donors.items()),
        ):
            if not model.tensors:  # with tensors at hand, those of the selected layers tell
                require_plain(f"the {what}", model)
        check_family(resolved.base, donors, allow_mismatch)
        if donors:
            notes.add("donors", "every donor has the base's kind, depth, widths and constants")
    if layers:
        with notes.of("edit"):
            _check_edit(resolved, models, donors, notes)


def _check_gate(resolved: ResolvedRecipe, notes: Notes) -> tuple[Unit, ...]:
    """What is selected, nothing where the gate is at fault."""
    layers: tuple[Unit, ...] = ()
    with notes.of("gate"):
        layers = resolved.layers
        notes.add("gate", named_units(layers, resolved.base.n_layers))
    with notes.of("diagnosis"):
        if resolved.diagnosis is not None:
            path = resolved.diagnosis.path
            notes.add("diagnosis", f"{path} is a diagnosis of this base, its SAEs have the base's width")
        if resolved.attribution is not None:
            path, attribution = resolved.attribution
            notes.add(
                "diagnosis",
                f"{path} is an attribution of this base and the donor {attribution.donor.id}",
                "fits" if _names_donor(resolved, attribution.donor.id) else "odd",
            )
    return layers


def _check_record(resolved: ResolvedRecipe, layers: tuple[Unit, ...], notes: Notes) -> None:
    """What ``sae-merge recipe`` noted down of a diagnosis or an attribution, when that stayed at home."""
    record = resolved.recipe.sae_evidence
    if not record:
        return
    with notes.of("sae_evidence"):
        of_base = resolved.recorded is not None and bool(resolved.base.tensors)
        scores, rule = recorded_scores(record), record.get("select")
        if scores and isinstance(rule, str) and layers and not parse_rule(rule).needs("q_values"):
            chosen = choose_layers(parse_rule(rule), scores)
            if chosen != layers:
                raise RecipeError(
                    f"{rule} of the recorded scores chooses {named_units(chosen)}, "
                    f"the gate has {format_layers(layers)}"
                )
            notes.add("sae_evidence", f"{rule} of the recorded scores chooses these layers")
        donor = record.get("donor")
        if donor is not None:
            notes.add(
                "sae_evidence",
                f"the scores, {record.get('score')}, are of an attribution of the donor {donor}",
                "fits" if _names_donor(resolved, str(donor)) else "odd",
            )
        if of_base:
            notes.add("sae_evidence", "the recorded scores are of this base's weights")
        else:
            missing = "no fingerprint is recorded" if resolved.base.tensors else "they are not at hand"
            notes.add("sae_evidence", f"whether it is of this base's weights: {missing}", "not checked")


def _names_donor(resolved: ResolvedRecipe, donor: str) -> bool:
    return any(is_same_model(donor, name) for name in donors_of(resolved.recipe))


def _check_edit(
    resolved: ResolvedRecipe,
    models: Mapping[str, tuple[Located, ...]],
    donors: Mapping[str, Checkpoint],
    notes: Notes,
) -> None:
    plan, base = resolved.plan, resolved.base
    if resolved.filter is not None:
        notes.add("edit", f"{method_named(plan.merge_method).needs} is there")
    if base.tensors:
        check_dtype(plan, base)
    headers = {name: donors[name] for name in plan.donors if name in donors and donors[name].tensors}
    adapters: dict[str, Adapter] = {}
    for name in headers:
        if parse_model_id(name).adapter is not None:
            adapter = open_located_adapter(models[name][1])
            if adapter is None:
                headers = {}
                break
            adapters[name] = adapter
            adapter.require_fits(headers[name], plan.layers_of(name), name)
    if not base.tensors or len(headers) < len(plan.donors):
        notes.add("edit", "tensor by tensor: weights are not all at hand", "not checked")
        return
    check_donors(plan, base, headers)
    notes.add(
        "edit",
        f"every tensor of the selected {units_word(plan.layers)} stands in every donor, in the base's shape",
    )
    _check_rounding(resolved, notes)
    _check_doors(resolved, [base, *(headers[name] for name in headers if name not in adapters)], notes)
    for oddity in oddities(plan, base, headers, adapters):
        notes.add("donors", oddity, "odd")


def _check_doors(resolved: ResolvedRecipe, models: Sequence[Checkpoint], notes: Notes) -> None:
    """Where the recipe's dtype has mergekit-yaml write other bytes than we do."""
    recipe = resolved.recipe
    stored = [
        DTYPE_NAMES[entry.dtype]
        for model in models
        for part, entry in model.layer_tensors.items()
        if entry.is_float and unit_of(resolved.layers, part) is not None
    ]
    wider = rounded_by_mergekit(recipe, resolved.base.dtypes(), stored)
    if wider:
        widest = "float64" if "float64" in wider else "float32"
        notes.add(
            "rounding",
            f"mergekit-yaml rounds what is stored in {'/'.join(wider)} to {recipe.dtype} before the edit, "
            f"sae-merge merge does not: dtype: {widest} and out_dtype: {recipe.target_dtype} give the same "
            "bytes by both",
            "odd",
        )


def _check_rounding(resolved: ResolvedRecipe, notes: Notes) -> None:
    """Where the recipe rounds otherwise than usual, how; and whether there is anything to round."""
    kinds = resolved.base.dtypes()
    precision = precision_of(resolved.recipe, kinds, resolved.recipe.target_dtype)
    if not precision.rounding.unbiased:
        return
    written = precision.written or "/".join(sorted(kinds))
    if written in ("float32", "float64"):
        notes.add(
            "rounding", f"{written} is written: {precision.rounding} has next to nothing to round", "odd"
        )
    else:
        notes.add("rounding", f"edited values are rounded to {written}, {precision.rounding}")
