"""What a loader would take in place of the audited weights, or beside them: nothing may stand there.

Every file of the folder is one of five: audited weights, one of the table of files beside them, one that
a loader would take instead, one about the model, or one that no table knows, which is said.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sae_merge_method.errors import ModelError
from sae_merge_method.models.beside_weights import side_files
from sae_merge_method.models.checkpoint import CONFIG_FILE, Checkpoint
from sae_merge_method.models.headers import read_header
from sae_merge_method.models.shards import INDEX_FILE, read_json
from sae_merge_method.models.taken_instead import LEADS_ELSEWHERE, WEIGHTS_KEY, is_about, taken_instead
from sae_merge_method.verify.report import Established

_NAMED = 5
"""Files that no table knows of which so many are named."""


def check_taken_instead(merged: Checkpoint, evidence: Established) -> None:
    """No weights, adapter or index beside those that are audited, in other files or in the same ones."""
    names = {file.name for file in merged.files}
    names |= {INDEX_FILE} if len(merged.files) > 1 or (merged.folder / INDEX_FILE).exists() else set()
    beside = {file.path.split("/")[0] for file in side_files(merged.folder)}
    unknown = []
    with evidence.proving("nothing that a loader would take in place of these weights"):
        for path in sorted(merged.folder.iterdir()):
            if path.name in names or path.name in beside or path.name.startswith("."):
                continue
            row = None if path.is_dir() else taken_instead(path.name)
            if row is not None:
                evidence.violate(path.name, f"{row.what}, where none belongs: {row.taken_by}")
            elif not is_about(path.name):
                unknown.append(f"{path.name}/" if path.is_dir() else path.name)
        _check_placed(merged, evidence)
        _check_weights_key(merged, names, evidence)
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        evidence.leave_open(f"what else lies in the folder: {', '.join(unknown[:_NAMED])}{more}")
    for what in _led_elsewhere(merged):
        evidence.leave_open(what)


def _check_placed(merged: Checkpoint, evidence: Established) -> None:
    """Every tensor of every shard stands where the index places it."""
    for file in merged.files:
        for name in read_header(file):
            if name not in merged.tensors or merged.tensors[name].file != file:
                evidence.violate(name, f"stands in {file.name}, but {INDEX_FILE} does not place it there")


def _check_weights_key(merged: Checkpoint, names: set[str], evidence: Established) -> None:
    stated = merged.config.get(WEIGHTS_KEY)
    if stated is not None and stated not in names:
        evidence.violate(
            CONFIG_FILE,
            f"{WEIGHTS_KEY} is {stated!r}: transformers would load that in place of these weights",
        )


def _led_elsewhere(merged: Checkpoint) -> Iterator[str]:
    """What the files beside the weights, right as they may be, have a loader take from elsewhere."""
    for file in side_files(merged.folder):
        for row in LEADS_ELSEWHERE:
            if row.file in ("*", file.path) and file.path.endswith(".json"):
                value = _object(merged.folder / file.path).get(row.key)
                if value:
                    yield f"{row.what}, by {row.key} in {file.path}: {_leads_to(value)}"


def _object(path: Path) -> Mapping[str, Any]:
    try:
        return read_json(path, "a JSON object")
    except ModelError:  # a template's or a vocabulary's file that is no object has no keys
        return {}


def _leads_to(value: Any) -> str:
    """The names in a JSON value, as far as a line goes."""
    if isinstance(value, Mapping):
        text = ", ".join(str(one) for one in value.values())
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
