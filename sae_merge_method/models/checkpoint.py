"""A checkpoint on disk: its config, and where every tensor's bytes lie.

No torch and no tensor data here. Which files hold the weights is for ``shards``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.files.lock import who_edits
from sae_merge_method.files.regular import read_regular
from sae_merge_method.layers import Unit, unit_of_tensor
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.families import vocabulary
from sae_merge_method.models.headers import FileStamp, TensorEntry, read_stamped_header
from sae_merge_method.models.shards import (
    INDEX_FILE,
    SINGLE_FILE,
    disagreements,
    file_inside,
    index_text,
    parse_json,
    shards_of,
    twice,
)
from sae_merge_method.models.tensor_names import LayerPart, describe_layout, layer_part
from sae_merge_method.models.text_part import is_multimodal, text_part
from sae_merge_method.models.unreadable import explain, held_at

CONFIG_FILE = "config.json"
MOST_LAYERS = 10_000
"""More decoder layers than any model has: a count in a config without weights is held against it."""
JOURNAL_FOLDER = ".sae-merge-journal"
"""Where an edit in place keeps what it overwrote; see :mod:`sae_merge_method.merge.journal`."""


@dataclass(frozen=True)
class Checkpoint:
    """One model folder: its parsed config and the entries of all its tensors."""

    folder: Path
    config: Mapping[str, Any]
    config_sha256: str
    tensors: Mapping[str, TensorEntry]
    stamps: Mapping[Path, FileStamp] = field(default_factory=dict)
    """State of every weight file when its header was read."""
    disagreements: Mapping[str, str] = field(default_factory=dict)
    """By tensor, where index and shards differ, in words: whose weights it has depends on who loads them."""

    @cached_property
    def layer_tensors(self) -> Mapping[LayerPart, TensorEntry]:
        """The text decoder's tensors by layer and part, which no layout changes.

        Raises:
            ModelError: Two tensors claim the same place.
        """
        entries: dict[LayerPart, TensorEntry] = {}
        for name, entry in self.tensors.items():
            key = layer_part(name)
            if key is None:
                continue
            if key in entries:
                raise ModelError(
                    f"{self.folder} holds layer {key.layer}'s {key.part} twice, "
                    f"as {entries[key].name} and as {name}"
                )
            entries[key] = entry
        return entries

    @property
    def layout(self) -> str:
        """How its tensors are named, in words."""
        return describe_layout(self.tensors)

    @property
    def has_index(self) -> bool:
        """Whether hosts find its weights: in one file of the usual name, or by an index."""
        return self.stamps.keys() == {self.folder / SINGLE_FILE} or (self.folder / INDEX_FILE).exists()

    def index(self) -> str:
        """The index that its files have, or would have."""
        size = sum(entry.nbytes for entry in self.tensors.values())
        return index_text({name: entry.file for name, entry in self.tensors.items()}, size)

    @property
    def files(self) -> tuple[Path, ...]:
        """The weight files, by name."""
        return tuple(sorted(self.stamps))

    def require_agreement(self, layers: Collection[Unit] | None = None) -> None:
        """Make sure that index and shards say the same, so that every loader loads the same weights.

        Args:
            layers: Decoder layers, whole or in part, of which this is asked; None for the whole model.

        Raises:
            ModelError: They do not; the message names the first tensor and its shards.
        """
        for name, fault in self.disagreements.items():
            if layers is None or unit_of_tensor(layers, name) is not None:
                raise ModelError(fault)

    def require_unchanged(self, files: Iterable[Path] | None = None) -> None:
        """Make sure that weight files are still those whose headers were read.

        Raises:
            MergeError: One was changed, replaced or removed meanwhile.
        """
        for file in self.files if files is None else files:
            try:
                now: FileStamp | None = FileStamp.of(file.stat())
            except OSError:
                now = None
            if now != self.stamps[file]:
                raise MergeError(f"{file} {'changed' if now else 'vanished'} while it was being read")

    @cached_property
    def text_config(self) -> Mapping[str, Any]:
        """Config of the text decoder, nested or flat in a multimodal model's; else the config itself."""
        return text_part(self.config)

    @property
    def is_multimodal(self) -> bool:
        """Whether the text decoder is one module among several."""
        return is_multimodal(self.config)

    @property
    def stated_layers(self) -> int:
        """Decoder layers that the config says the text model has, however many there are.

        Raises:
            ModelError: It does not say.
        """
        stated = self._size(vocabulary().layer_counts)
        if stated is None:
            raise ModelError(f"{self.folder / CONFIG_FILE} does not say how many layers the text model has")
        return stated

    @property
    def n_layers(self) -> int:
        """Decoder layers of the text model, no more than there are tensors for.

        Raises:
            ModelError: The config does not say, or says more than there can be.
        """
        stated, held = self.stated_layers, MOST_LAYERS
        if self.tensors:  # else nothing but the config is at hand
            held = len({part.layer for part in self.layer_tensors}) or len(self.tensors)
        if stated > held:
            raise ModelError(
                f"{self.folder / CONFIG_FILE} says that the text model has {stated} layers, expected at most "
                f"{held}" + (": there are tensors of no more" if self.tensors else "")
            )
        return stated

    @property
    def d_model(self) -> int | None:
        """Width of the text model's residual stream; None if the config does not say."""
        return self._size(vocabulary().widths)

    def _size(self, keys: Iterable[str]) -> int | None:
        stated = (self.text_config.get(key) for key in keys)
        return next((value for value in stated if isinstance(value, int) and value > 0), None)

    @property
    def text_model_type(self) -> str | None:
        """transformers' ``model_type`` of the text decoder, in multimodal models too; None if not said."""
        stated = self.text_config.get("model_type")
        if stated is None and self.is_multimodal and self.config.get("model_type"):
            stated = f"{self.config['model_type']}_text"  # as transformers fills it in
        return stated if isinstance(stated, str) else None

    def dtypes(self) -> set[str]:
        """Names of all floating-point dtypes among the tensors, as recipes write them."""
        return {DTYPE_NAMES[entry.dtype] for entry in self.tensors.values() if entry.is_float}


def no_folder(path: Path) -> str:
    """Why what a user names as a model's folder is none, in words."""
    kind = held_at(path)
    if kind is not None:
        return explain(f"the file {path}", kind)
    return f"expected a model folder at {path}, found {'a file' if path.exists() else 'nothing'}"


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read a model folder's config and safetensors headers.

    Raises:
        ModelError: Not a folder with config.json and safetensors weights, or a damaged one.
    """
    if not folder.is_dir():
        raise ModelError(no_folder(folder))
    config_file = file_inside(folder, CONFIG_FILE)
    try:
        stated = read_regular(config_file)
    except OSError as error:
        raise _without_config(folder, config_file, error) from error
    config = parse_json(stated, config_file, "a model's config")
    tensors: dict[str, TensorEntry] = {}
    stamps: dict[Path, FileStamp] = {}
    faults: dict[str, str] = {}
    shards = shards_of(folder)
    placed = {name: file for file, names in shards.items() for name in names or ()}
    for file in shards:
        header, stamps[file] = read_stamped_header(file)
        faults |= disagreements(folder, placed, file, header)
        if not placed:
            again = sorted(header.keys() & tensors.keys())
            faults |= {name: twice(folder, name, tensors[name].file, file) for name in again}
        tensors.update({name: entry for name, entry in header.items() if placed.get(name, file) == file})
    return Checkpoint(folder, config, sha256(stated).hexdigest(), tensors, stamps, faults)


def config_alone(config_file: Path) -> Checkpoint:
    """What a config.json by itself says of a model: a checkpoint without tensors.

    Raises:
        ModelError: It cannot be read, or is damaged.
    """
    try:
        stated = read_regular(config_file)
    except OSError as error:
        raise ModelError(f"cannot read {config_file}: {error.strerror}") from error
    config = parse_json(stated, config_file, "a model's config")
    return Checkpoint(config_file.parent, config, sha256(stated).hexdigest(), tensors={})


def _without_config(folder: Path, config_file: Path, error: OSError) -> ModelError:
    """Why a folder's config cannot be read."""
    if (folder / JOURNAL_FOLDER).is_dir():
        at_work = who_edits(folder)
        if at_work is not None:
            return ModelError(at_work)
        if not config_file.exists():  # still, with nobody at work: an edit that has just ended brings it back
            return ModelError(f"{folder} was left half-edited: run 'sae-merge undo {folder}' first")
        return ModelError(f"{folder} was being edited this moment: try again")
    kind = None if config_file.exists() else held_at(folder)
    if kind is not None:
        return ModelError(explain(f"the model in {folder}", kind))
    return ModelError(f"cannot read {config_file}: {error.strerror}")
