"""The files beside a checkpoint's weights that decide what a model says: one table, a row a file.

A merge copies by it, a download fetches by it and an audit compares by it, so that no file can be in one
and forgotten in the other. What a loader would take in place of the weights is in ``taken_instead``.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

from sae_merge_method.errors import ModelError
from sae_merge_method.files.regular import read_regular
from sae_merge_method.models.checkpoint import CONFIG_FILE, JOURNAL_FOLDER
from sae_merge_method.models.shards import file_inside

Subject = Literal["config", "generation config", "tokenizer", "chat template", "processor", "code"]
Taken = Literal["always", "with the tokenizer", "never"]
Compared = Literal["as bytes", "as JSON", "as a config"]


class BesideWeights(NamedTuple):
    """One file, or all whose names are alike."""

    name: str
    """Its path in the model's folder; ``*`` stands for anything inside one name."""
    subject: Subject
    """What it decides."""
    taken: Taken
    """When a merge takes it over from the base: always, unless told to leave the tokenizer, or, for code,
    never."""
    compared: Compared
    """When it says what the base's says: with the same bytes, with the same JSON values, or, for a config,
    also where transformers understands the two alike."""
    bookkeeping: frozenset[str] = frozenset()
    """Keys, at any depth, that whoever saved the file last wrote: nothing depends on them."""

    def fits(self, path: str) -> bool:
        """Whether a path inside a model's folder, written with ``/``, is this row's."""
        parts, wanted = path.split("/"), self.name.split("/")
        return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


# transformers writes the path that a config was loaded by over _name_or_path.
_SAVED_BY = frozenset({"transformers_version", "_commit_hash", "_name_or_path"})
_DTYPE = frozenset({"dtype", "torch_dtype"})  # an audit holds them against the tensors
_MADE_FROM = frozenset({"_from_model_config", "_original_object_hash"})
_LOADED_FROM = frozenset({"is_local", "local_files_only"})

SIDE_FILES: dict[str, BesideWeights] = {
    row.name: row
    for row in (
        BesideWeights(CONFIG_FILE, "config", "always", "as a config", _SAVED_BY | _DTYPE),
        BesideWeights("config.*.json", "config", "always", "as JSON"),  # by config.json's configuration_files
        BesideWeights(
            "generation_config.json", "generation config", "always", "as JSON", _SAVED_BY | _MADE_FROM
        ),
        # Of a vocabulary every key counts: a token may be called "dtype".
        BesideWeights("tokenizer.json", "tokenizer", "with the tokenizer", "as JSON"),
        # By tokenizer_config.json's fast_tokenizer_files.
        BesideWeights("tokenizer.*.json", "tokenizer", "with the tokenizer", "as JSON"),
        # transformers takes the first that it finds: tokenizer.model, spiece.model, ...
        BesideWeights("*.model", "tokenizer", "with the tokenizer", "as bytes"),
        BesideWeights("*.tiktoken", "tokenizer", "with the tokenizer", "as bytes"),
        BesideWeights("tekken.json", "tokenizer", "with the tokenizer", "as JSON"),
        BesideWeights("tokenizer_config.json", "tokenizer", "with the tokenizer", "as JSON", _LOADED_FROM),
        BesideWeights("special_tokens_map.json", "tokenizer", "with the tokenizer", "as JSON"),
        BesideWeights("added_tokens.json", "tokenizer", "with the tokenizer", "as JSON"),
        BesideWeights("vocab.json", "tokenizer", "with the tokenizer", "as JSON"),
        BesideWeights("vocab.txt", "tokenizer", "with the tokenizer", "as bytes"),
        BesideWeights("merges.txt", "tokenizer", "with the tokenizer", "as bytes"),
        BesideWeights("chat_template.jinja", "chat template", "with the tokenizer", "as bytes"),
        BesideWeights("chat_template.json", "chat template", "with the tokenizer", "as JSON"),
        BesideWeights("additional_chat_templates/*.jinja", "chat template", "with the tokenizer", "as bytes"),
        BesideWeights("preprocessor_config.json", "processor", "always", "as JSON", _SAVED_BY),
        BesideWeights("processor_config.json", "processor", "always", "as JSON", _SAVED_BY),
        BesideWeights("video_preprocessor_config.json", "processor", "always", "as JSON", _SAVED_BY),
        BesideWeights("audio_tokenizer_config.json", "processor", "always", "as JSON", _SAVED_BY),
        # What trust_remote_code runs: auto_map's modules, and a generate() of the model's own.
        BesideWeights("*.py", "code", "never", "as bytes"),
        BesideWeights("custom_generate/*", "code", "never", "as bytes"),
    )
}
"""By name, in the order in which an audit tells of them; what fits two rows is the first one's."""

WANTED_FILES = (
    "*.json",  # an index, an adapter's config, what says how weights are packed
    "*.safetensors",
    *(name for name, row in SIDE_FILES.items() if row.taken != "never" and not name.endswith(".json")),
)
"""What a merge needs of a repository: never its code, never pickled weights; ``*`` stands for ``/`` too."""
UNWANTED_FILES = (f"{JOURNAL_FOLDER}/*",)
"""What it does not need though it looks like that: of a journal's bytes only its record would come along."""


def is_wanted(path: str) -> bool:
    """Whether a merge needs a file of a repository."""
    wanted, unwanted = (any(fnmatchcase(path, one) for one in of) for of in (WANTED_FILES, UNWANTED_FILES))
    return wanted and not unwanted


class SideFile(NamedTuple):
    """A file that stands beside the weights of one model."""

    path: str
    """Inside the model's folder."""
    row: BesideWeights
    """What the table says of it."""


def side_files(folder: Path) -> list[SideFile]:
    """The files of the table that a model's folder holds, in the table's order."""
    rows = list(SIDE_FILES.values())
    held: dict[str, SideFile] = {}
    for row in rows:
        for file in sorted(folder.glob(row.name)):
            path = file.relative_to(folder).as_posix()
            if row.fits(path) and not file.is_dir():
                held.setdefault(path, SideFile(path, row))
    return sorted(held.values(), key=lambda one: rows.index(one.row))


def files_to_take(folder: Path, *, tokenizer: bool, template: bool = True) -> Iterator[str]:
    """Paths of the files that a merge takes over from its base.

    Args:
        folder: The base's.
        tokenizer: Whether the tokenizer is wanted.
        template: Whether its chat templates are wanted with it.
    """
    wanted = {"always": True, "with the tokenizer": tokenizer, "never": False}
    for file in side_files(folder):
        if wanted[file.row.taken] and (template or file.row.subject != "chat template"):
            yield file.path


def has_tokenizer(folder: Path) -> bool:
    """Whether a model's folder holds a tokenizer, or anything of one."""
    return any(file.row.subject == "tokenizer" for file in side_files(folder))


def side_file_hashes(folder: Path, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Hex sha256 of each file of the table that a model's folder holds, by its path.

    Args:
        folder: The model's.
        paths: The files alone that are asked for; None for all.

    Raises:
        ModelError: One of them is no regular file, or a link that leads out of the folder.
    """
    hashes = {}
    for path in [file.path for file in side_files(folder)] if paths is None else paths:
        try:
            hashes[path] = sha256(read_regular(file_inside(folder, path))).hexdigest()
        except OSError as error:
            raise ModelError(f"cannot read {folder / path}: {error.strerror}") from error
    return hashes
