"""A checkpoint on disk: its config, and where every tensor's bytes lie.

No torch and no tensor data here. An index can only name files inside its own folder, and links
may lead out of it only into the store of the Hub's own cache.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.families import vocabulary
from sae_merge_method.models.headers import FileStamp, TensorEntry, read_stamped_header
from sae_merge_method.models.tensor_names import LayerPart, describe_layout, layer_part

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
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
    def files(self) -> tuple[Path, ...]:
        """The weight files, by name."""
        return tuple(sorted(self.stamps))

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
        """Config of the text decoder: nested in multimodal models, the config itself otherwise."""
        nested = self.config.get("text_config")
        return nested if isinstance(nested, dict) else self.config

    @property
    def is_multimodal(self) -> bool:
        """Whether the text decoder is one module among several."""
        return isinstance(self.config.get("text_config"), dict)

    @property
    def n_layers(self) -> int:
        """Decoder layers of the text model.

        Raises:
            ModelError: The config does not say.
        """
        n_layers = self._size(vocabulary().layer_counts)
        if n_layers is None:
            raise ModelError(f"{self.folder / CONFIG_FILE} does not say how many layers the text model has")
        return n_layers

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


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read a model folder's config and safetensors headers.

    Raises:
        ModelError: Not a folder with config.json and safetensors weights, or a damaged one.
    """
    if not folder.is_dir():
        raise ModelError(
            f"expected a model folder at {folder}, found {'a file' if folder.exists() else 'nothing'}"
        )
    config_file = file_inside(folder, CONFIG_FILE)
    if not config_file.exists() and (folder / JOURNAL_FOLDER).is_dir():
        raise ModelError(f"{folder} was left half-edited: run 'sae-merge undo {folder}' first")
    config = _read_json(config_file, "a model's config")
    tensors: dict[str, TensorEntry] = {}
    stamps: dict[Path, FileStamp] = {}
    for file, names in _shards(folder).items():
        header, stamps[file] = read_stamped_header(file)
        missing = sorted(set(names or ()) - set(header))
        if missing:
            raise ModelError(f"{folder / INDEX_FILE} places {missing[0]} in {file.name}, which lacks it")
        tensors.update({name: header[name] for name in (names or header)})
    digest = sha256(config_file.read_bytes()).hexdigest()
    return Checkpoint(folder, config, digest, tensors, stamps)


def file_inside(folder: Path, name: str) -> Path:
    """``folder / name``, once it is known to lie there.

    A link may lead only to a file of the same folder, or of the store beside a Hub snapshot.

    Raises:
        ModelError: It leads elsewhere.
    """
    path, root = folder / name, folder.resolve()
    stores = [parent.parent / "blobs" for parent in root.parents if parent.name == "snapshots"]
    try:
        target = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself
        raise ModelError(f"cannot follow {path}: {error}") from error
    if not any(target.is_relative_to(inside) for inside in (root, *stores)):
        raise ModelError(f"{path} leads to {target}, outside {folder}: put the file itself there")
    return path


def _shards(folder: Path) -> dict[Path, list[str] | None]:
    """Files of the checkpoint with the tensors the index places in each (None: all of them)."""
    single, index = folder / SINGLE_FILE, folder / INDEX_FILE
    if single.exists() and index.exists():
        raise ModelError(
            f"{folder} holds both {SINGLE_FILE} and {INDEX_FILE}: transformers reads the one and mergekit "
            "the other; remove the one that is left over"
        )
    if single.exists():
        return {file_inside(folder, SINGLE_FILE): None}
    if not index.exists():
        raise ModelError(
            f"expected {SINGLE_FILE} or {INDEX_FILE} in {folder}: only safetensors weights are read"
        )
    weight_map = _read_json(index, "a safetensors index").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} has no weight_map")
    shards: dict[Path, list[str] | None] = {}
    for name, file in weight_map.items():
        if not isinstance(file, str) or not _is_shard_name(file):
            raise ModelError(
                f"{index} places {name} in {file!r}: expected a file name inside {folder}, *.safetensors"
            )
        names = shards.setdefault(file_inside(folder, file), [])
        assert names is not None
        names.append(name)
    return shards


def _is_shard_name(file: str) -> bool:
    plain = file.endswith(".safetensors") and file.isprintable() and not file.startswith(".")
    return plain and len(os.fsencode(file)) < 256 and Path(file).name == file


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"expected {what} (JSON) at {path}: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"expected {what} (a JSON object) at {path}")
    return value
