"""What a merged folder holds beside its weights: the base's config and tokenizer, and mergekit's card.

The card's template and rules are ``mergekit.card``'s; a test holds the two together.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from sae_merge_method.artifacts.recipe import RECIPE_FILE
from sae_merge_method.escape import markdown
from sae_merge_method.files.regular import open_regular
from sae_merge_method.files.writing import write_text
from sae_merge_method.merge.job import Job
from sae_merge_method.models.beside_weights import files_to_take, side_file_hashes
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.hub import CARD_FILE, as_path, parse_model_id
from sae_merge_method.models.shards import file_inside, read_json
from sae_merge_method.recipe.methods import method_named
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.reports.markdown import fence

CARD_FILES = (CARD_FILE, RECIPE_FILE)


def copy_side_files(job: Job, folder: Path) -> None:
    """Copy what the table in ``models.beside_weights`` lists from the base into ``folder``.

    Raises:
        ModelError: One of them is a link that leads out of the base's folder.
    """
    _copy(job, _taken(job), folder)


def copied_hashes(job: Job) -> dict[str, str]:
    """Hex sha256 of each file that :func:`copy_side_files` would copy, by its path.

    Raises:
        ModelError: See there.
    """
    return side_file_hashes(job.base.folder, _taken(job))


def complete_side_files(job: Job, folder: Path) -> None:
    """Copy what is not there yet, which of a tokenizer is all: mergekit knows some of its files by name.

    Where the recipe asks for another chat template, mergekit has written the tokenizer anew: what it wrote
    stays, and the base's templates stay away.

    Raises:
        ModelError: See :func:`copy_side_files`.
    """
    names = _taken(job, template=not job.resolved.recipe.chat_template)
    _copy(job, [name for name in names if not (folder / name).exists()], folder)


def restate_dtypes(job: Job, folder: Path) -> None:
    """Let the config that mergekit wrote say of every part what is stored: it sets the top alone.

    Raises:
        ModelError: mergekit has written no config.
    """
    written = job.precision.written
    if written is None or job.base.dtypes() == {written}:
        return  # every part says what the base's config says of it
    config = read_json(folder / CONFIG_FILE, "a model's config")
    text = json.dumps(_with_dtype(config, written), indent=2, sort_keys=True)  # as transformers writes it
    write_text(folder / CONFIG_FILE, text + "\n")


def _with_dtype(config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """A config that says this dtype wherever it says one; a loader's own word, such as auto, stays."""
    said = dict(config)
    for key, value in config.items():
        if isinstance(value, Mapping):
            said[key] = _with_dtype(value, dtype)
        elif key in ("dtype", "torch_dtype") and value in DTYPE_NAMES.values():
            said[key] = dtype
    return said


def _taken(job: Job, *, template: bool = True) -> Iterator[str]:
    wanted = job.options.get("copy_tokenizer", True)
    return files_to_take(job.base.folder, tokenizer=wanted, template=template)


def _copy(job: Job, names: Iterable[str], folder: Path) -> None:
    for name in names:
        source = file_inside(job.base.folder, name)
        if source.exists():
            (folder / name).parent.mkdir(exist_ok=True)
            with os.fdopen(open_regular(source), "rb") as stream, (folder / name).open("wb") as into:
                shutil.copyfileobj(stream, into)


def write_card(job: Job, folder: Path, name: str) -> None:
    """Write mergekit's card and the recipe as the user wrote it, unless the user wants none."""
    for file, text in card_texts(job, name).items():
        (folder / file).write_bytes(text.encode())  # as text its line ends would be the system's


def card_texts(job: Job, name: str) -> dict[str, str]:
    """What :func:`write_card` writes, by file name; nothing where the user wants none."""
    if not job.options.get("write_model_card", True):
        return {}
    texts = (card_text(job.resolved.text, job.plan, name), job.resolved.text)
    return dict(zip(CARD_FILES, texts, strict=True))


_TEMPLATE = """---
{metadata}
---
# {name}

This is a merge of pre-trained language models created using [mergekit](https://github.com/cg123/mergekit).

## Merge Details
### Merge Method

This model was merged using the {method} merge method using {base} as a base.

### Models Merged

The following models were included in the merge:
{models}

### Configuration

The following YAML configuration was used to produce this model:

{source}
"""


def card_text(source: str, plan: EditPlan, name: str) -> str:
    """README.md text as mergekit writes it.

    Args:
        source: The recipe's YAML text, shown whole.
        plan: What the recipe means.
        name: Title: the output folder's name.
    """
    method = method_named(plan.merge_method)
    models = sorted({as_path(plan.base), *(as_path(donor) for donor in plan.donors)})
    metadata = {
        "base_model": [part for model in models for part in _parts(model) if _on_the_hub(part)],
        "tags": ["mergekit", "merge"],
        "library_name": "transformers",
    }
    return _TEMPLATE.format(
        metadata=yaml.dump(metadata),
        name=markdown(name),
        method=f"[{method.title}]({method.reference})",
        base=_linked(as_path(plan.base)),
        models="\n".join(f"* {_linked(model)}" for model in models if model != as_path(plan.base)),
        source=fence(source, "yaml"),
    )


def _parts(model: str) -> list[str]:
    """Paths of a model and its adapter, without revisions."""
    return [part.path for part in parse_model_id(model).parts]


def _on_the_hub(path: str) -> bool:
    """mergekit's rule, but for what exists here: that is taken as local without asking the Hub."""
    return path[0] not in "/~" and path.count("/") <= 1 and not Path(path).exists()


def _linked(model: str) -> str:
    linked = []
    for path in _parts(model):
        address = f"(https://huggingface.co/{quote(path, errors='replace')})"
        linked.append(f"[{markdown(path)}]{address}" if _on_the_hub(path) else markdown(path))
    return " + ".join(linked)
