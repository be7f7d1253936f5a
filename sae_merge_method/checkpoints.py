"""A checkpoint on disk, seen through its safetensors headers: names, dtypes, shapes, byte ranges.

No torch and no tensor data here. Every length and offset a header claims is checked against
the file, and an index can only name files inside its own folder.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

from sae_merge_method.errors import ModelError

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

# safetensors' dtype names, and the ones recipes use.
DTYPE_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
_MOST_HEADER_BYTES = 100_000_000  # safetensors' own limit
_CHUNK = 1 << 22


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor's bytes lie, and what they are."""

    name: str
    file: Path
    dtype: str
    """safetensors' name, for example "BF16"."""
    shape: tuple[int, ...]
    start: int
    """First byte, counted from the beginning of the file."""
    end: int
    """One past the last byte."""

    def sha256(self) -> str:
        """Hex sha256 of the tensor's bytes as stored, read in chunks."""
        digest = sha256()
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            left = self.end - self.start
            while left:
                chunk = stream.read(min(_CHUNK, left))
                if not chunk:
                    raise ModelError(f"{self.file} ends inside tensor {self.name}")
                digest.update(chunk)
                left -= len(chunk)
        return digest.hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """One model folder: its parsed config and the entries of all its tensors."""

    folder: Path
    config: Mapping[str, Any]
    config_sha256: str
    tensors: Mapping[str, TensorEntry]

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
        for key in ("num_hidden_layers", "n_layer", "num_layers"):
            value = self.text_config.get(key)
            if isinstance(value, int) and value > 0:
                return value
        raise ModelError(f"{self.folder / CONFIG_FILE} does not say how many layers the text model has")

    def dtypes(self) -> set[str]:
        """Names of all floating-point dtypes among the tensors, as recipes write them."""
        return {DTYPE_NAMES[entry.dtype] for entry in self.tensors.values() if entry.dtype in DTYPE_NAMES}


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read a model folder's config and safetensors headers.

    Raises:
        ModelError: Not a folder with config.json and safetensors weights, or a damaged one.
    """
    if not folder.is_dir():
        raise ModelError(
            f"expected a model folder at {folder}, found {'a file' if folder.exists() else 'nothing'}"
        )
    config = _read_json(folder / CONFIG_FILE, "a model's config")
    tensors: dict[str, TensorEntry] = {}
    for file, names in _shards(folder).items():
        header = read_header(file)
        missing = sorted(set(names or ()) - set(header))
        if missing:
            raise ModelError(f"{folder / INDEX_FILE} places {missing[0]} in {file.name}, which lacks it")
        tensors.update({name: header[name] for name in (names or header)})
    digest = sha256((folder / CONFIG_FILE).read_bytes()).hexdigest()
    return Checkpoint(folder, config, digest, tensors)


def read_header(file: Path) -> dict[str, TensorEntry]:
    """Entries of one safetensors file, in the order of their names.

    Raises:
        ModelError: Missing, truncated, or a header that lies about the file.
    """
    try:
        with file.open("rb") as stream:
            size = file.stat().st_size
            prefix = stream.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else -1
            if not 2 <= length <= min(_MOST_HEADER_BYTES, size - 8):
                raise ModelError(f"{file} is not a safetensors file, or is cut short ({size} bytes)")
            header = json.loads(stream.read(length))
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{file} has a damaged safetensors header: {error}") from error
    if not isinstance(header, dict):
        raise ModelError(f"{file} has a damaged safetensors header: expected an object")
    header.pop("__metadata__", None)
    return {name: _entry(file, name, header[name], 8 + length, size) for name in sorted(header)}


def _entry(file: Path, name: str, fields: Any, offset: int, size: int) -> TensorEntry:
    try:
        dtype, shape = str(fields["dtype"]), tuple(fields["shape"])
        first, last = fields["data_offsets"]
        sound = all(type(n) is int and n >= 0 for n in (*shape, first, last)) and offset + last <= size
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise ModelError(f"{file}: the header's entry for {name} is damaged, or points outside the file")
    width = _DTYPE_BYTES.get(dtype)
    if width is not None and last - first != prod(shape) * width:
        raise ModelError(
            f"{file}: {name} is {dtype} {list(shape)}, which does not fill its {last - first} bytes"
        )
    return TensorEntry(name, file, dtype, shape, offset + first, offset + last)


def _shards(folder: Path) -> dict[Path, list[str] | None]:
    """Files of the checkpoint with the tensors the index places in each (None: all of them)."""
    single, index = folder / SINGLE_FILE, folder / INDEX_FILE
    if single.exists() and index.exists():
        raise ModelError(
            f"{folder} holds both {SINGLE_FILE} and {INDEX_FILE}: transformers reads the one and mergekit "
            "the other; remove the one that is left over"
        )
    if single.exists():
        return {single: None}
    if not index.exists():
        raise ModelError(
            f"expected {SINGLE_FILE} or {INDEX_FILE} in {folder}: only safetensors weights are read"
        )
    weight_map = _read_json(index, "a safetensors index").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} has no weight_map")
    shards: dict[Path, list[str] | None] = {}
    for name, file in weight_map.items():
        if not isinstance(file, str) or Path(file).name != file or file in ("", ".", ".."):
            raise ModelError(f"{index} places {name} in {file!r}: expected a file name inside {folder}")
        names = shards.setdefault(folder / file, [])
        assert names is not None
        names.append(name)
    return shards


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"expected {what} (JSON) at {path}: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"expected {what} (a JSON object) at {path}")
    return value
