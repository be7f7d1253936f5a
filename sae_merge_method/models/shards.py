"""Which files of a model folder hold its weights, and which tensors each of them.

Nothing that an index says is believed: it can only name files inside its own folder, links may lead
out of it only into the store of the Hub's own cache, and it must agree with its shards. transformers
loads whatever a shard holds, mergekit what the index places there, so where the two differ nobody
can say which weights the model has. Shards without an index say by their own headers what they hold.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sae_merge_method.errors import ModelError
from sae_merge_method.files.regular import read_regular
from sae_merge_method.models.unreadable import explain, held_at

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.safetensors", re.ASCII)
_NO_MODEL = ("adapter_", "consolidated")
"""How files begin that lie beside a model's weights: an adapter, and Mistral's own copy under other names."""


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


def shards_of(folder: Path) -> dict[Path, list[str] | None]:
    """Files of the checkpoint with the tensors the index places in each (None: all of them).

    Raises:
        ModelError: No safetensors weights, two sets of them, or an index that cannot be right.
    """
    single, index = folder / SINGLE_FILE, folder / INDEX_FILE
    if single.exists() and index.exists():
        raise ModelError(
            f"{folder} holds both {SINGLE_FILE} and {INDEX_FILE}: transformers reads the one and mergekit "
            "the other; remove the one that is left over"
        )
    if single.exists():
        return {file_inside(folder, SINGLE_FILE): None}
    if not index.exists():
        return dict.fromkeys(file_inside(folder, name) for name in _without_index(folder))
    weight_map = read_json(index, "a safetensors index").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} has no weight_map")
    names_of: dict[str, list[str]] = {}
    for name, file in weight_map.items():
        if not isinstance(file, str) or not _is_shard_name(file):
            raise ModelError(
                f"{index} places {name} in {file!r}: expected a file name inside {folder}, *.safetensors"
            )
        names_of.setdefault(file, []).append(name)
    return {file_inside(folder, file): names for file, names in names_of.items()}


def lacks_weights(folder: Path) -> bool:
    """Whether a folder has no weights, or not all: a snapshot in the Hub's cache holds what was asked for.

    Raises:
        ModelError: An index that cannot be right.
    """
    if (folder / SINGLE_FILE).exists():
        return False
    if (folder / INDEX_FILE).exists():
        return not all(file.exists() for file in shards_of(folder))
    try:
        return not _without_index(folder)
    except ModelError:
        return True


def _without_index(folder: Path) -> list[str]:
    """The shards of a folder that has no index: one whole numbered set, or files of any other names."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".safetensors")
    names = [name for name in names if _is_shard_name(name) and not name.startswith(_NO_MODEL)]
    if not names:
        kind = held_at(folder)
        if kind is not None:
            raise ModelError(explain(f"the model in {folder}", kind))
        raise ModelError(f"expected {SINGLE_FILE} or {INDEX_FILE} in {folder}, or shards: there are none")
    numbered = [match for match in map(_NUMBERED.fullmatch, names) if match]
    if not numbered:
        return names
    sets = {(match["stem"], int(match["count"])) for match in numbered}
    strangers = [name for name in names if not _NUMBERED.fullmatch(name)]
    if len(sets) > 1 or strangers:
        raise ModelError(
            f"{folder} holds shards without {INDEX_FILE}, and not of one set ({names[0]}, "
            f"{strangers[0] if strangers else names[-1]}): remove those that are left over"
        )
    ((stem, count),) = sets
    present = {int(match["number"]) for match in numbered}
    missing = [number for number in range(1, count + 1) if number not in present]  # five digits bound it
    if missing:
        raise ModelError(
            f"{folder} holds shards without {INDEX_FILE}, and not all of them: expected "
            f"{stem}-{missing[0]:05d}-of-{count:05d}.safetensors"
        )
    return names


def twice(folder: Path, name: str, one: Path, other: Path) -> str:
    """That a tensor stands in two shards of a folder without an index, in words."""
    return (
        f"{name} stands in two shards of {folder}, {one.name} and {other.name}, and no {INDEX_FILE} says "
        "which one counts: expected it once"
    )


def index_text(tensors: Mapping[str, Path], total_size: int) -> str:
    """An index, as transformers writes it.

    Args:
        tensors: File of each tensor, by its name.
        total_size: Bytes of all tensors.
    """
    weight_map = {name: tensors[name].name for name in sorted(tensors)}
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    return json.dumps(index, indent=2, sort_keys=True) + "\n"


def disagreements(
    folder: Path, placed: Mapping[str, Path], file: Path, held: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """What a shard holds beyond what the index places in it: names of tensors, and what is wrong, in words.

    Args:
        folder: The model's folder.
        placed: The file of every tensor that the index names; empty where there is no index.
        file: The shard.
        held: Names of the tensors in it.

    Raises:
        ModelError: The shard lacks a tensor.
    """
    names = set(held)
    missing = sorted(name for name, at in placed.items() if at == file and name not in names)
    if missing:
        raise ModelError(f"{folder / INDEX_FILE} places {missing[0]} in {file.name}, which lacks it")
    for name in sorted(names) if placed else ():
        if name not in placed:
            yield (
                name,
                f"{file} holds {name}, which {INDEX_FILE} does not name: expected index and shards to agree "
                "(transformers loads what the shards hold, mergekit what the index names)",
            )
        elif placed[name] != file:
            yield (
                name,
                f"{name} stands in two shards of {folder}, in {placed[name].name}, where {INDEX_FILE} "
                f"places it, and in {file.name}: expected it once (transformers may load either)",
            )


def _is_shard_name(file: str) -> bool:
    plain = file.endswith(".safetensors") and file.isprintable() and not file.startswith(".")
    return plain and len(os.fsencode(file)) < 256 and Path(file).name == file


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: Its file.
        what: How a message names it, for example "a model's config".

    Raises:
        ModelError: Missing, no regular file, or not a JSON object.
    """
    try:
        return parse_json(read_regular(path), path, what)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def parse_json(data: bytes, path: Path, what: str) -> dict[str, Any]:
    """As :func:`read_json`, of bytes that were read already.

    Raises:
        ModelError: Not a JSON object.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"expected {what} (JSON) at {path}: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"expected {what} (a JSON object) at {path}")
    return value
