"""What a result is made from beside its settings, each thing under one name: models, texts, tasks, packages.

Interrupted work goes on, and what an experiment has left stands, while all of it is the same.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.files.hashing import file_sha256, json_sha256
from sae_merge_method.files.stamps import folder_stamp, package_versions
from sae_merge_method.models.beside_weights import Subject, side_files
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.hub import ModelId, folder_at_hand, local_folder, parse_model_id
from sae_merge_method.models.lora_config import ADAPTER_CONFIG

Parts = dict[str, str]
"""By a name that a user understands, a hash or a plain value."""

BESIDE = "files beside the weights"
TASKS = "tasks"
_FOR_PEOPLE = "README.md"


class Loaded(Protocol):
    """What is asked of a loaded model, such as :class:`~sae_merge_method.loaded.text_model.TextModel`."""

    @property
    def name(self) -> ModelId:
        """Where it was loaded from."""

    @property
    def config_sha256(self) -> str:
        """Of its config."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Of its weights."""


def of_model(role: str, model: Loaded) -> Parts:
    """A model that is loaded, and what stands beside its weights and is loaded with it.

    Args:
        role: What messages call it, such as base.
        model: The model.
    """
    folder = folder_at_hand(model.name)
    return {
        f"{role}'s config.json": model.config_sha256,
        **of_weights(role, model.fingerprint),
        f"{role}'s {BESIDE}": "" if folder is None else _beside(folder, "code", "processor"),
    }


def of_weights(role: str, taken: Fingerprint) -> Parts:
    """A model's weights by their fingerprint: wherever they lie, and in whatever layout."""
    return {f"{role}'s weights": json_sha256(taken.model_dump(mode="json"))}


def of_files(model: str) -> str:
    """A model's config and weights, and its adapter's, without loading or reading them.

    Over its config and, for every weight file, its name, size and time of change; of the Hub's cache,
    the name of the blob, which is the hash of its bytes.

    Raises:
        ModelError: There is no such model.
        SaeMergeError: It has no config.
    """
    digest = sha256()
    for part, config in zip(parse_model_id(model).parts, (CONFIG_FILE, ADAPTER_CONFIG), strict=False):
        folder = local_folder(part)
        digest.update(file_sha256(folder / config).encode())
        for file in sorted(folder.glob("*.safetensors")):
            target = file.resolve()
            state = target.stat()
            what = target.name if file.is_symlink() else str(state.st_mtime_ns)
            digest.update(f"{file.name} {state.st_size} {what}\n".encode())
    return digest.hexdigest()


def of_files_beside(model: str, *, generates: bool = True) -> Parts:
    """What stands beside a model's weights: tokenizer, chat template, settings of generation.

    An adapter's are nobody's; code is never run, and no text goes through a processor.

    Args:
        model: Its name.
        generates: Whether it answers, so that its settings of generation count.

    Raises:
        ModelError: There is no such model.
        SaeMergeError: One of the files cannot be read.
    """
    unread: list[Subject] = ["code", "processor"]
    if not generates:
        unread.append("generation config")
    return {BESIDE: _beside(local_folder(parse_model_id(model).parts[0]), *unread)}


def _beside(folder: Path, *without: Subject) -> str:
    files = [file.path for file in side_files(folder) if file.row.subject not in without]
    return json_sha256({name: file_sha256(folder / name) for name in files if name != CONFIG_FILE})


def of_texts(texts: Iterable[tuple[str, ...]]) -> Parts:
    """Texts in their order, each by its name, its sha256 and whatever else there is to tell of it."""
    return {f"text {number}": ", ".join(told) for number, told in enumerate(texts, 1)}


def of_tasks(folders: Iterable[Path], without: Path) -> Parts:
    """Tasks that are not lm-eval's own, by the files in their folders; nothing where there are none.

    Args:
        folders: That the tasks come from.
        without: A folder whose files do not count.
    """
    stamps = [folder_stamp(folder, without=without, unread=_FOR_PEOPLE) for folder in folders]
    return {TASKS: json_sha256(stamps)} if stamps else {}


def of_packages(packages: Iterable[str]) -> Parts:
    """The versions of packages that compute it."""
    return {"packages": package_versions(packages)}
