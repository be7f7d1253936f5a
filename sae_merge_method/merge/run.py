"""Run one recipe through mergekit: checked first, then whole or not at all."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sae_merge_method.artifacts.diagnosis import diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.edit_report import EditReport, write_edit_report
from sae_merge_method.artifacts.recipe import Recipe, parse_recipe
from sae_merge_method.checkpoints import Checkpoint, open_checkpoint
from sae_merge_method.edit.gate import open_layers
from sae_merge_method.edit.guarded_form import guarded_form
from sae_merge_method.edit.modules import module_names
from sae_merge_method.edit.plan import Donation, EditPlan, plan_edit
from sae_merge_method.edit.preflight import check_donors, output_dtype, require_diagnosis_of
from sae_merge_method.errors import MergeError, SaeMergeError
from sae_merge_method.files import new_folder
from sae_merge_method.merge.report import report_edit
from sae_merge_method.model_ids import local_folder, parse_model_id

LOG = logging.getLogger(__name__)


def run_recipe(
    source: str, where: str, out: Path, *, overwrite: bool = False, options: Mapping[str, Any] | None = None
) -> EditReport:
    """Merge as a recipe says.

    Donors are read in the open layers only, whatever form the recipe has: what a donor holds,
    or lacks, elsewhere does not matter. Paths resolve against the working folder, as mergekit's do.

    Args:
        source: The recipe's YAML text; it is kept as ``mergekit_config.yml``.
        where: How messages name the recipe.
        out: Folder to write; appears only when the merge is complete and checked.
        overwrite: Replace an existing ``out`` after success.
        options: Fields of ``mergekit.options.MergeOptions``.

    Raises:
        SaeMergeError: See the modules this one calls; nothing is written then.
    """
    recipe = parse_recipe(source, where)
    given = dict(options or {})
    cache = given.get("transformers_cache")
    base_id = parse_model_id(recipe.base_model)
    if base_id.lora:
        raise MergeError(f"base_model {recipe.base_model}: expected a plain model, not one with an adapter")
    base = open_checkpoint(local_folder(base_id.path, base_id.revision, cache))
    gate = recipe.parameters
    layers = open_layers(gate.layers, gate.diagnosis, gate.select, base.n_layers)
    if gate.diagnosis is not None:
        path = diagnosis_path(Path(gate.diagnosis))
        require_diagnosis_of(base, recipe.base_model, read_diagnosis(path), path)
    plan = plan_edit(recipe, layers, base.n_layers)
    # Beside the output, not in the system's temporary folder: merged adapters are model-sized.
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.adapters.") as scratch:
        given.setdefault("lora_merge_cache", scratch)
        donors = {name: _open_donor(name, given) for name in plan.donors}
        check_donors(plan, base, donors)
        dtype = output_dtype(plan, base, donors)
        with new_folder(out, overwrite=overwrite) as folder:
            _run_mergekit(_local(plan, base, donors, dtype), base, recipe, folder, given)
            _write_card(source, folder, out.name, given)
            report = report_edit(plan, base, open_checkpoint(folder))
            write_edit_report(folder, report)
    return report


def _open_donor(name: str, options: Mapping[str, Any]) -> Checkpoint:
    donor = parse_model_id(name)
    if donor.lora is None:
        return open_checkpoint(local_folder(donor.path, donor.revision, options.get("transformers_cache")))
    from mergekit.common import ModelReference

    merged = _guarded_call(
        f"merging the adapter {donor.lora} into {donor.path}",
        ModelReference.parse(name).merged,
        cache_dir=options["lora_merge_cache"],
        lora_merge_dtype=options.get("lora_merge_dtype"),
    )
    return open_checkpoint(Path(merged.model.path))


def _local(plan: EditPlan, base: Checkpoint, donors: Mapping[str, Checkpoint], dtype: str | None) -> EditPlan:
    """The same plan with every model as the folder it lies in."""
    donations = {
        layer: tuple(Donation(str(donors[gift.model].folder.resolve()), gift.weights) for gift in gifts)
        for layer, gifts in plan.donations.items()
    }
    return replace(plan, base=str(base.folder.resolve()), donations=donations, dtype=dtype)


def _run_mergekit(
    plan: EditPlan, base: Checkpoint, recipe: Recipe, folder: Path, options: Mapping[str, Any]
) -> None:
    from mergekit.config import MergeConfiguration
    from mergekit.io.tasks import LoaderCache
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    from sae_merge_method.hosts import register_merge_methods

    register_merge_methods()
    form = guarded_form(plan, base.n_layers, module_names(base))
    # mergekit's dtype would round a wider donor before the arithmetic; out_dtype rounds after it.
    form["out_dtype"] = form.pop("dtype", None)
    form.update(tokenizer_source=recipe.tokenizer_source, chat_template=recipe.chat_template)
    # Without a tokenizer to copy, mergekit would make one up.
    has_tokenizer = (base.folder / "tokenizer_config.json").exists()
    settings = MergeOptions(**{"copy_tokenizer": has_tokenizer, **options, "write_model_card": False})
    settings.apply_global_options()
    try:
        _guarded_call(
            "mergekit", run_merge, MergeConfiguration.model_validate(form), str(folder), options=settings
        )
    finally:
        LoaderCache().loaders.clear()  # it would keep every shard mapped for the life of the process


def _write_card(source: str, folder: Path, name: str, options: Mapping[str, Any]) -> None:
    """mergekit's own card and config, of the recipe as the user wrote it."""
    if not options.get("write_model_card", True):
        return
    from sae_merge_method.merge.card import mergekit_card

    (folder / "README.md").write_text(mergekit_card(source, name), encoding="utf-8")
    (folder / "mergekit_config.yml").write_text(source, encoding="utf-8")


def _guarded_call(what: str, call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a host; whatever it raises becomes one of our errors, ours pass unchanged."""
    try:
        return call(*args, **kwargs)
    except (SaeMergeError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise MergeError(f"{what} failed: {type(error).__name__}: {error}") from error
