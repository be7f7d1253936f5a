"""The engine that is mergekit itself: for methods, dtypes and options the direct engine has not.

mergekit knows a layout by its names, so a donor of another layout is shown to it renamed; a base
whose names it does not know cannot be shown to it, and is refused.
"""

import shutil
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sae_merge_method.errors import MergeError
from sae_merge_method.files.copying import place_file
from sae_merge_method.hosts.calls import guarded_call
from sae_merge_method.layers import Unit, layers_of, unit_of
from sae_merge_method.merge.job import Job
from sae_merge_method.models.beside_weights import has_tokenizer
from sae_merge_method.models.checkpoint import CONFIG_FILE, Checkpoint
from sae_merge_method.models.headers import make_header
from sae_merge_method.models.mergekit_layout import require_known_to_mergekit, same_names
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.models.shards import INDEX_FILE, SINGLE_FILE
from sae_merge_method.recipe.mergekit_form import guarded_form
from sae_merge_method.recipe.plan import Donation, EditPlan

_AT_ONCE = 1 << 22
_TEMPLATE = "the recipe asks for a chat template"


def renamed_view(donor: Checkpoint, base: Checkpoint, layers: Collection[Unit], folder: Path) -> Path:
    """Write ``donor``'s tensors of ``layers`` into ``folder`` as the base names them.

    mergekit reads a layer whole, also where a part of it is selected: the base's own tensors stand for the
    rest.

    Args:
        donor: Checked against the base already.
        base: Whose names and config the view bears.
        layers: What is selected; nothing else of the donor is shown.
        folder: Made here.
    """
    folder.mkdir(parents=True)
    shutil.copyfile(base.folder / CONFIG_FILE, folder / CONFIG_FILE)
    touched = layers_of(layers)
    chosen = {
        entry.name: entry if unit_of(layers, key) is None else donor.layer_tensors[key]
        for key, entry in base.layer_tensors.items()
        if key.layer in touched
    }
    header = make_header({name: (entry.dtype, entry.shape) for name, entry in chosen.items()})
    with (folder / SINGLE_FILE).open("wb") as stream, WeightFiles([base, donor]) as files:
        stream.write(header)
        for entry in chosen.values():
            for first in range(0, entry.nbytes, _AT_ONCE):
                piece = memoryview(bytearray(min(_AT_ONCE, entry.nbytes - first)))
                files.read(entry, first, piece)
                stream.write(piece)
    return folder


def indexed_view(base: Checkpoint, folder: Path) -> Path:
    """Show a base whose shards have no index with one, by links to all its files; ``folder`` is made here.

    Where links are not for everybody (Windows), they are hard links, or copies.
    """
    folder.mkdir(parents=True)
    for file in filter(Path.is_file, base.folder.iterdir()):
        try:
            (folder / file.name).symlink_to(file.resolve())
        except OSError:
            place_file(file, folder / file.name, file.stat().st_size, link=True).run()
    (folder / INDEX_FILE).write_bytes(base.index().encode())
    return folder


def run_mergekit(job: Job, folder: Path) -> None:
    """Write the edited weights and config into ``folder``; with a chat template of the recipe, a tokenizer.

    Raises:
        MergeError: mergekit does not know the base's layout, or failed; or no tokenizer takes the template.
    """
    from mergekit.config import MergeConfiguration
    from mergekit.io.tasks import LoaderCache
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    from sae_merge_method.hosts.register import register_merge_methods

    require_known_to_mergekit(job.base, "pass --engine direct, which edits any layout")
    _require_tokenizer(job)
    register_merge_methods()
    base, recipe = job.base, job.resolved.recipe
    with TemporaryDirectory(dir=folder, prefix=".views.") as views:
        form = guarded_form(_local(job, Path(views)), base)
        # mergekit's dtype would round a wider donor before the arithmetic; out_dtype rounds after it.
        form.update(dtype=job.precision.loaded, out_dtype=job.precision.written)
        # No tokenizer_source, even where the recipe has it: mergekit would resize the embeddings to the
        # tokenizer. The base's is copied by our own table, which is what the recipe asks for.
        form.update(chat_template=recipe.chat_template)
        given: dict[str, Any] = {
            "quiet": not sys.stderr.isatty(),
            **job.options,
            "copy_tokenizer": bool(recipe.chat_template),  # with one it loads the tokenizer and saves it anew
            "write_model_card": False,
        }
        settings = MergeOptions(**given)
        settings.apply_global_options()
        config = MergeConfiguration.model_validate(_of_folders(form))
        try:
            guarded_call("mergekit", run_merge, config, str(folder), options=settings)
        finally:
            LoaderCache().loaders.clear()  # it would keep every shard mapped for the life of the process
    if recipe.chat_template and not has_tokenizer(folder):
        raise MergeError(f"{_TEMPLATE}, and mergekit has written no tokenizer with it: its log says why")


def _require_tokenizer(job: Job) -> None:
    """A chat template is written into a tokenizer, and mergekit would make one up.

    Raises:
        MergeError: The recipe asks for one, and there is no tokenizer, or none is to be written.
    """
    if not job.resolved.recipe.chat_template:
        return
    if not job.options.get("copy_tokenizer", True):
        raise MergeError(f"{_TEMPLATE}, which stands in a tokenizer, and --no-copy-tokenizer wants none")
    if not has_tokenizer(job.base.folder):
        raise MergeError(f"{_TEMPLATE}, which stands in a tokenizer, and {job.base.folder} has none")


def _local(job: Job, views: Path) -> EditPlan:
    """The same plan with every model as a folder in the base's layout."""
    folders = {
        name: _as_the_base(donor, job, views / str(number))
        for number, (name, donor) in enumerate(job.donors.items())
    }
    donations = {
        layer: tuple(Donation(str(folders[each.model].resolve()), each.weights) for each in donors)
        for layer, donors in job.plan.donations.items()
    }
    base = job.base.folder if job.base.has_index else indexed_view(job.base, views / "base")
    return replace(job.plan, base=str(base.resolve()), donations=donations, dtype=None)


def _of_folders(form: Any) -> Any:
    """The form with every model named as the folder that it is: in a plain name mergekit takes what follows a
    "+" for an adapter, and what follows an "@" for a revision."""
    if isinstance(form, list):
        return [_of_folders(each) for each in form]
    if not isinstance(form, dict):
        return form
    return {
        key: {"model": {"path": value}} if key in ("model", "base_model") else _of_folders(value)
        for key, value in form.items()
    }


def _as_the_base(donor: Checkpoint, job: Job, view: Path) -> Path:
    if donor.has_index and same_names(job.base, donor, layers_of(job.plan.layers)):
        return donor.folder
    return renamed_view(donor, job.base, job.plan.layers, view)
