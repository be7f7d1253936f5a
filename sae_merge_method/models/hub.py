"""A model as a user names it: read, found on this machine, fetched from the Hub.

A name is a folder, ``owner/name[@revision]``, or one of them with ``+adapter``. Everything that is
fetched goes through ``huggingface_hub``, so that offline what was fetched once still serves, and
nothing fetched is ever executed. One file of a repository is for ``repository``, what lies in a model's
folder for ``checkpoint``.
"""

import re
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from sae_merge_method.errors import ModelError, UsageError, first_line
from sae_merge_method.files.regular import read_regular_text
from sae_merge_method.models.beside_weights import UNWANTED_FILES, WANTED_FILES
from sae_merge_method.models.checkpoint import (
    CONFIG_FILE,
    Checkpoint,
    config_alone,
    no_folder,
    open_checkpoint,
)
from sae_merge_method.models.repository import fetch_file, is_hub_id

CARD_FILE = "README.md"

_NAME = re.compile(r"([^@+]+)(?:@([^@+]+))?(?:\+([^@+]+)(?:@([^@+]+))?)?")


@dataclass(frozen=True)
class ModelId:
    """One model, in the notation that mergekit's recipes use; ``str`` writes it again."""

    path: str
    """Folder or Hub id."""
    revision: str | None = None
    """Branch, tag or commit on the Hub; None for the main branch, and for a folder."""
    adapter: "ModelId | None" = None
    """LoRA adapter that is to be merged into the model; itself without one."""

    def __str__(self) -> str:
        return "+".join(
            part.path + (f"@{part.revision}" if part.revision is not None else "") for part in self.parts
        )

    @property
    def parts(self) -> tuple["ModelId", ...]:
        """The model, then its adapter where it has one, each by itself."""
        model = replace(self, adapter=None)
        return (model,) if self.adapter is None else (model, self.adapter)

    @property
    def folder(self) -> Path | None:
        """The folder of that name, None where there is none."""
        folder = Path(self.path).expanduser()
        return folder if folder.is_dir() else None


def parse_model_id(text: str) -> ModelId:
    """Read ``folder``, ``owner/name``, ``owner/name@revision``, or one of them with ``+adapter``.

    A folder that exists is meant as a whole, whatever signs its name holds; so are two with ``+`` between.

    Raises:
        UsageError: Empty, or more than one ``+``, or than one ``@`` in a part.
    """
    if _is_folder(text):
        return ModelId(text)
    for sign in re.finditer(r"\+", text):
        model, adapter = text[: sign.start()], text[sign.end() :]
        if _is_folder(model) and _is_folder(adapter):
            return ModelId(model, adapter=ModelId(adapter))
    match = _NAME.fullmatch(text)
    if match is None:
        raise UsageError(f"expected a model like path, owner/name@revision or path+lora, got {text!r}")
    path, revision, adapter, its_revision = match.groups()
    return ModelId(path, revision, ModelId(adapter, its_revision) if adapter else None)


def _is_folder(text: str) -> bool:
    return bool(text) and Path(text).expanduser().is_dir()


def is_plain_to_mergekit(name: str) -> bool:
    """Whether mergekit, which looks at no folder, divides a name as :func:`parse_model_id` does."""
    return not any(sign in part.path for part in parse_model_id(name).parts for sign in "@+")


def as_path(name: str) -> str:
    """The same model, a relative folder marked as one (``base`` becomes ``./base``), one of the home's whole.

    mergekit asks the Hub for a bare relative name even where such a folder exists, and for ``~/base``.
    """
    return "+".join(str(replace(part, path=_plain(part.path))) for part in parse_model_id(name).parts)


def is_same_model(one: str, other: str) -> bool:
    """Whether two names are of one model: ``donor`` and ``./donor``; without a revision it may be any."""
    pairs = list(zip_longest(parse_model_id(one).parts, parse_model_id(other).parts))
    return all(a is not None and b is not None and _is_same(a, b) for a, b in pairs)


def _is_same(one: ModelId, other: ModelId) -> bool:
    if one.folder is not None and other.folder is not None:
        return one.folder.samefile(other.folder)
    paths = {Path(each.path).expanduser().resolve() for each in (one, other)}
    return len(paths) == 1 and (None in (one.revision, other.revision) or one.revision == other.revision)


def _plain(path: str) -> str:
    if path.startswith("~"):
        return str(Path(path).expanduser())
    return f"./{path}" if path[:1] not in "./" and Path(path).exists() else path


def open_model(name: str, cache_dir: str | None = None) -> Checkpoint:
    """Open a whole model by its name, fetched where it has to be.

    Args:
        name: As a user writes it.
        cache_dir: The Hub's cache, where it is another than the usual one.

    Raises:
        UsageError: The name asks for an adapter.
        ModelError: There is no such model, or it cannot be read.
    """
    model = parse_model_id(name)
    if model.adapter is not None:
        raise UsageError(
            f"{name}: expected a whole checkpoint, not an adapter; merge it first (sae-merge merge, or peft)"
        )
    checkpoint = open_checkpoint(local_folder(model, cache_dir))
    checkpoint.require_agreement()
    return checkpoint


def local_folder(model: ModelId, cache_dir: str | None = None) -> Path:
    """Folder of a model without its adapter: itself when it is one, else the Hub's cache or download.

    Offline (``HF_HUB_OFFLINE=1``) a cached snapshot serves without any request.

    Raises:
        ModelError: No such folder, and not a repository that can be had.
    """
    if model.folder is not None:
        return model.folder
    if Path(model.path).expanduser().is_file():
        raise ModelError(no_folder(Path(model.path).expanduser()))
    if not is_hub_id(model.path):
        raise ModelError(f"expected a model folder or a Hub id, and there is no folder {model.path}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot = snapshot_download(
            model.path,
            revision=model.revision,
            cache_dir=cache_dir,
            allow_patterns=list(WANTED_FILES),
            ignore_patterns=list(UNWANTED_FILES),
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(
            f"no folder {model.path}, and the Hub does not give a model of that name: {first_line(error)}"
        ) from error
    return Path(snapshot)


def folder_at_hand(model: ModelId) -> Path | None:
    """A model's folder: itself, or the snapshot in the Hub's cache. Nothing is downloaded."""
    if model.folder is not None or not is_hub_id(model.path):
        return model.folder
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model.path, CONFIG_FILE, revision=model.revision)
    return Path(config).parent if isinstance(config, str) else None


def open_config(name: str) -> Checkpoint:
    """A whole model's config alone, fetched where it has to be.

    Raises:
        ModelError: It cannot be had or read.
        UsageError: No model's name.
    """
    model = parse_model_id(name)
    if model.folder is not None or not is_hub_id(model.path):
        return config_alone(Path(model.path).expanduser() / CONFIG_FILE)
    return config_alone(fetch_file(model.path, CONFIG_FILE, model.revision))


def model_card_text(model: ModelId) -> str:
    """The README.md of a model: of its folder, or from the Hub.

    Raises:
        ModelError: There is none, or it cannot be had.
    """
    folder = folder_at_hand(model)
    path = folder / CARD_FILE if folder is not None and (folder / CARD_FILE).exists() else None
    if path is None:
        if not is_hub_id(model.path) or model.folder is not None:
            raise ModelError(f"expected a model card at {Path(model.path) / CARD_FILE}")
        path = fetch_file(model.path, CARD_FILE, model.revision)
    try:
        return read_regular_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read the model card {path}: {error}") from error
