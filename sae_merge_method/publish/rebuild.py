"""Follow a merged model back: what it was made by, and whether a second making gave the same bytes.

The merge itself is another stage's; this finds the recipe before it and compares hashes after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, read_edit_report
from sae_merge_method.artifacts.recipe import RECIPE_FILE, Gate, Recipe, read_recipe_text
from sae_merge_method.errors import ModelError, UsageError
from sae_merge_method.layers import format_layers
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.hub import fetch_file, local_folder, parse_model_id
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.recipe.methods import method_named, parse_recipe
from sae_merge_method.recipe.pin import donors_of, rename


@dataclass(frozen=True)
class Original:
    """What is known of the model that is made again."""

    recipe_text: str
    where: str
    report: EditReport | None
    weights: Checkpoint | None
    """Only where there is no report to compare with."""
    changes: tuple[str, ...] = ()
    """In what the recipe differs from the one that stands there, and why."""


@dataclass(frozen=True)
class Rebuilt:
    """How a second making compares with the first."""

    same: int
    """Tensors with the same bytes."""
    different: tuple[str, ...]
    """Names of tensors whose bytes differ, or that only one of the two has."""
    result_sha256: str
    """Of the second making: over every tensor's name, dtype, shape and hash."""
    base_changed: bool
    """Whether the base has another config.json by now."""


def find_original(source: str, base: str | None = None, donors: Sequence[str] = ()) -> Original:
    """The recipe and the hashes of a model: of a folder, or of the Hub, without its weights.

    Args:
        source: Folder or Hub id[@revision].
        base: Model to take in place of the recipe's base, or None.
        donors: The same for the donors, in the recipe's order, or nothing.

    Raises:
        SaeMergeError: It has no recipe of ours, or cannot be had.
    """
    model = parse_model_id(source)
    if model.folder is not None:
        recipe_path, report_path = model.folder / RECIPE_FILE, model.folder / REPORT_FILE
    else:
        recipe_path = fetch_file(model.path, RECIPE_FILE, model.revision)
        # What lies beside it in the snapshot: the recipe's commit, whatever "main" becomes meanwhile.
        report_path = _beside(recipe_path, model.path, REPORT_FILE)
    text, where = read_recipe_text(recipe_path), f"{source}: {RECIPE_FILE}"
    recipe = parse_recipe(text, where)
    report = read_edit_report(report_path.parent) if report_path.exists() else None
    weights = None if report else open_checkpoint(local_folder(model))
    changes: list[str] = []
    text = rename(text, _new_names(recipe, base, donors, changes))
    if report is not None:
        text = _with_gate(text, recipe, report, changes)
    return Original(text, where, report, weights, tuple(changes))


def compare_with(original: Original, rebuilt: EditReport, folder: Path) -> Rebuilt:
    """Hold the second making's tensors against the first's.

    Args:
        original: From :func:`find_original`.
        rebuilt: Report of the second making.
        folder: Where it lies.
    """
    if original.report is not None:
        first = {tensor.name: (tensor.dtype, tensor.shape, tensor.xxh3) for tensor in original.report.tensors}
        second = {tensor.name: (tensor.dtype, tensor.shape, tensor.xxh3) for tensor in rebuilt.tensors}
    else:
        assert original.weights is not None
        first, second = _hashes(original.weights), _hashes(open_checkpoint(folder))
    different = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    return Rebuilt(
        len(first.keys() | second.keys()) - len(different),
        tuple(different),
        rebuilt.result_sha256,
        original.report is not None and original.report.base_config_sha256 != rebuilt.base_config_sha256,
    )


def _hashes(weights: Checkpoint) -> dict[str, tuple[str, tuple[int, ...], str]]:
    with WeightFiles([weights]) as files:
        return {
            name: (entry.dtype, entry.shape, files.hashes(entry, with_sha256=False).xxh3)
            for name, entry in weights.tensors.items()
        }


def _beside(recipe: Path, repository: str, name: str) -> Path:
    commit = recipe.parent.name
    try:
        return fetch_file(repository, name, commit)
    except ModelError:  # plain mergekit-yaml output has no report
        return recipe.parent / name


def _new_names(
    recipe: Recipe, base: str | None, donors: Sequence[str], changes: list[str]
) -> Mapping[str, str]:
    written = donors_of(recipe)
    if donors and len(donors) != len(written):
        raise UsageError(
            f"the recipe has {len(written)} donors ({', '.join(written)}): "
            f"expected --donor for each, in this order, got {len(donors)}"
        )
    names = dict(zip(written, donors, strict=False))
    if base is not None:
        names[recipe.base_model] = base
    changes += [f"{new} in place of {old}" for old, new in names.items()]
    return names


def _with_gate(text: str, recipe: Recipe, report: EditReport, changes: list[str]) -> str:
    """The layers written out, where the diagnosis that chose them did not come along."""
    gate = recipe.parameters
    if gate.select is None or gate.diagnosis is None or Path(gate.diagnosis).exists():
        return text
    value = yaml.safe_load(text)
    for key in Gate.model_fields.keys() - method_named(recipe.merge_method).parameters.model_fields.keys():
        value["parameters"].pop(key, None)
    value["parameters"]["layers"] = format_layers(report.layers)
    changes.append(f'layers "{format_layers(report.layers)}" of {REPORT_FILE} in place of {gate.diagnosis}')
    decided: str = yaml.safe_dump(value, sort_keys=False)
    return decided
