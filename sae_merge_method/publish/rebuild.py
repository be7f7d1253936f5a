"""Make a merged model again from its own recipe, and say whether the second making gave the same bytes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import yaml

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, read_edit_report
from sae_merge_method.artifacts.recipe import RECIPE_FILE, Gate, Recipe, RecipeText, read_recipe_text
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.errors import ModelError, UsageError
from sae_merge_method.files.parallel import bytes_bar, run_all
from sae_merge_method.layers import format_layers
from sae_merge_method.merge.run import merge
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.models.repository import fetch_file
from sae_merge_method.models.shards import lacks_weights
from sae_merge_method.publish.first_making import read_otherwise, recorded_options
from sae_merge_method.recipe.methods import method_named, parse_recipe
from sae_merge_method.recipe.pin import donors_of, rename
from sae_merge_method.reports.notebook import View

_SHOWN = 10
"""Differing tensors that are listed."""


class Rebuilt(Record):
    """How a second making of a model compares with the first."""

    model: str
    """The first making: its folder or Hub id."""
    out: Path
    """Folder of the second making."""
    changes: tuple[str, ...]
    """In what the second making's recipe differs from the first's, a sentence each; usually none."""
    by_report: bool
    """Whether the first making's hashes are those of its edit report, its weights not being at hand."""
    same: int
    """Tensors that have the same bytes in both makings."""
    different: tuple[str, ...]
    """Names of tensors whose bytes differ, or that only one of the two makings has."""
    result_sha256: str
    """One hash of the second making: over every tensor's name, dtype, shape and XXH3."""
    base_changed: bool
    """Whether the base has another config.json than when the model was first made."""
    reason: str | None = None
    """What may be why bytes differ, in words; null where nothing is known of that."""


def rebuild(
    model: str | Path,
    out: str | Path,
    base: str | Path | None = None,
    donors: Sequence[str | Path] = (),
    *,
    overwrite: bool = False,
    quiet: bool = False,
    allow_mismatch: Collection[str] = (),
) -> Rebuilt:
    """Merge again by a model's own recipe, and compare every tensor's hash with the model's.

    A folder's weights are read and hashed. Of a model on the Hub only recipe and edit report are fetched;
    where no report says every tensor's hash, the weights too.

    Args:
        model: Merged folder or Hub id[@revision].
        out: Folder of the second making.
        base: Model to take in place of the recipe's base, or None.
        donors: Models to take in place of the recipe's donors, in its order, or nothing.
        overwrite: Replace ``out`` if it exists, once the new merge is complete.
        quiet: Show no progress, even on a terminal.
        allow_mismatch: Keys of config.json in which donors may differ from the base.

    Raises:
        SaeMergeError: The model has no recipe of ours, or cannot be had; or the merge fails.
    """
    original = find_original(str(model), None if base is None else str(base), list(map(str, donors)))
    recipe = RecipeText(original.recipe_text, original.where)
    if original.weights is not None:  # before the merge, which may replace them
        first = _hashed(original.weights, quiet=quiet)
    else:
        assert original.report is not None
        first = _reported(original.report)
    options = {"quiet": quiet, **recorded_options(original.report)}
    report = merge(recipe, out, overwrite=overwrite, options=options, allow_mismatch=allow_mismatch)
    second = _reported(report)  # a merge reads all
    names = first.keys() | second.keys()
    different = sorted(name for name in names if first.get(name) != second.get(name))
    before = original.report.base_config_sha256 if original.report is not None else None
    return Rebuilt(
        model=str(model),
        out=Path(out),
        changes=original.changes,
        by_report=original.weights is None,
        same=len(names) - len(different),
        different=tuple(different),
        result_sha256=str(report.result_sha256),
        base_changed=before not in (None, report.base_config_sha256),
        reason=read_otherwise(recipe, report) if different and original.report is None else None,
    )


def rebuilt_view(rebuilt: Rebuilt) -> View:
    """How many tensors are the same, and the first of those that are not."""
    total = rebuilt.same + len(rebuilt.different)
    what = "have the hashes in the {} of {}" if rebuilt.by_report else "have the bytes of {1}"
    lines = [
        *(f"recipe: {change}" for change in rebuilt.changes),
        f"{rebuilt.out}: {rebuilt.same} of {total} tensors {what.format(REPORT_FILE, rebuilt.model)}",
        f"result sha256 {rebuilt.result_sha256}",
        *(f"  different: {name}" for name in rebuilt.different[:_SHOWN]),
    ]
    if len(rebuilt.different) > _SHOWN:
        lines.append(f"  and {len(rebuilt.different) - _SHOWN} more")
    if rebuilt.reason is not None:
        lines.append(f"it may be this: {rebuilt.reason}")
    if rebuilt.base_changed:
        lines.append("the base's config.json is not the one that the model was made from")
    return View((), head=tuple(lines))


@dataclass(frozen=True)
class Original:
    """What is known of the model that is made again."""

    recipe_text: str
    """The recipe to run."""
    where: str
    """How messages name it."""
    report: EditReport | None
    """The model's edit report; None for plain mergekit-yaml output."""
    weights: Checkpoint | None
    """The model itself; None where it is not at hand, and its report says every tensor's hash."""
    changes: tuple[str, ...] = ()
    """In what the recipe to run differs from the one that stands there, and why."""


def find_original(source: str, base: str | None = None, donors: Sequence[str] = ()) -> Original:
    """The recipe of a model and what holds its hashes: the weights in a folder, of the Hub the report.

    Args:
        source: Folder or Hub id[@revision].
        base: Model to take in place of the recipe's base, or None.
        donors: Models to take in place of the recipe's donors, in its order, or nothing.

    Raises:
        UsageError: Its base is the model itself.
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
    _require_another_base(model.folder, base or recipe.base_model)
    report = read_edit_report(report_path.parent) if report_path.exists() else None
    says_all = report is not None and report.result_sha256 is not None
    at_hand = model.folder is not None and not lacks_weights(model.folder)
    weights = open_checkpoint(local_folder(model)) if at_hand or not says_all else None
    names = _new_names(recipe, base, donors)
    text = rename(text, names)
    changes = [f"{new} in place of {old}" for old, new in names.items()]
    if report is not None and _lost_its_diagnosis(recipe):
        layers = format_layers(report.layers)
        text = _with_layers(text, recipe, layers)
        changes.append(f'layers "{layers}" of {REPORT_FILE} in place of {recipe.parameters.diagnosis}')
    return Original(text, where, report, weights, tuple(changes))


def _require_another_base(folder: Path | None, base: str) -> None:
    """A base that is the model itself has the edit already, and would get it twice."""
    named = parse_model_id(base).folder
    if folder is not None and named is not None and named.samefile(folder):
        raise UsageError(
            f"the base {base} is the model itself, which has the edit already: name the model that it was "
            f"made from with --base, or run 'sae-merge undo {folder}' first and merge again"
        )


def _beside(recipe: Path, repository: str, name: str) -> Path:
    commit = recipe.parent.name
    try:
        return fetch_file(repository, name, commit)
    except ModelError:  # plain mergekit-yaml output has no report
        return recipe.parent / name


def _new_names(recipe: Recipe, base: str | None, donors: Sequence[str]) -> Mapping[str, str]:
    written = donors_of(recipe)
    if donors and len(donors) != len(written):
        raise UsageError(
            f"the recipe has {len(written)} donors ({', '.join(written)}): "
            f"expected --donor for each, in this order, got {len(donors)}"
        )
    names = dict(zip(written, donors, strict=False))
    return names if base is None else names | {recipe.base_model: base}


def _lost_its_diagnosis(recipe: Recipe) -> bool:
    """Whether the diagnosis that chooses the layers did not come along."""
    gate = recipe.parameters
    return gate.select is not None and gate.diagnosis is not None and not Path(gate.diagnosis).exists()


def _with_layers(text: str, recipe: Recipe, layers: str) -> str:
    """The recipe with its layers written out in place of what chose them."""
    value = yaml.safe_load(text)
    for key in Gate.model_fields.keys() - method_named(recipe.merge_method).parameters.model_fields.keys():
        value["parameters"].pop(key, None)
    value["parameters"]["layers"] = layers
    decided: str = yaml.safe_dump(value, sort_keys=False)
    return decided


class _Tensor(NamedTuple):
    """What is compared of one tensor."""

    dtype: str
    shape: tuple[int, ...]
    xxh3: str | None


def _reported(report: EditReport) -> dict[str, _Tensor]:
    return {tensor.name: _Tensor(tensor.dtype, tensor.shape, tensor.xxh3) for tensor in report.tensors}


def _hashed(weights: Checkpoint, *, quiet: bool) -> dict[str, _Tensor]:
    entries = weights.tensors
    total = sum(entry.nbytes for entry in entries.values())
    with bytes_bar(total, "reading", quiet=quiet) as advance, WeightFiles([weights]) as files:
        take = partial(files.hashes, with_sha256=False, advance=advance)
        hashes = run_all([partial(take, entry) for entry in entries.values()])
        files.require_unchanged()
    return {
        name: _Tensor(entry.dtype, entry.shape, its.xxh3)
        for (name, entry), its in zip(entries.items(), hashes, strict=True)
    }
