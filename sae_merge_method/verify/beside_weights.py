"""The files beside the weights: every one of the table must say what the base's says.

Without the base, each must be the file that the merge left. What a loader would take in place of the
weights is for ``taken_instead``.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport
from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.files.regular import read_regular
from sae_merge_method.models.beside_weights import SideFile, Subject, side_file_hashes, side_files
from sae_merge_method.models.checkpoint import CONFIG_FILE, Checkpoint
from sae_merge_method.models.shards import file_inside
from sae_merge_method.models.understood import understood
from sae_merge_method.verify.report import Established

_TEMPLATE = "chat_template"
_KEYS_SHOWN = 5
_LOST = f"{REPORT_FILE} records this file, the checkpoint lacks it"


def check_beside_weights(
    merged: Checkpoint, base: Checkpoint, recipe: Recipe, report: EditReport | None, evidence: Established
) -> None:
    """Every file of :data:`~sae_merge_method.models.beside_weights.SIDE_FILES` against the base's.

    One that the merge left, by its report, may not be missing; without a report it may be left to the base.

    Raises:
        ModelError: One of them is a link that leads out of its folder.
        OSError: One of them cannot be read, or is no regular file.
    """
    _check_dtypes(merged, base, recipe, evidence)
    all_written, all_expected = side_files(merged.folder), side_files(base.folder)
    recorded = {file.name for file in report.beside} if report is not None else set()
    for subject in get_args(Subject):
        written = [file for file in all_written if file.row.subject == subject]
        expected = [file for file in all_expected if file.row.subject == subject]
        if subject == "chat template" and recipe.chat_template:
            if written:
                evidence.leave_open("the chat template: the recipe asks for another than the base's")
            continue
        kept = [file for file in expected if file in written]
        added = [file for file in written if file not in expected]
        if nothing := _nothing_against(subject, added, all_expected):
            names = ", ".join(file.path for file in nothing)
            evidence.leave_open(f"the {subject}: the base has none to hold {names} against")
            added = [file for file in added if file not in nothing]
        missing = [file.path for file in expected if file not in written]
        lost = [name for name in missing if name in recorded]
        if left := [name for name in missing if name not in lost]:
            names = ", ".join(left)
            evidence.leave_open(f"the {subject} as a whole: the checkpoint leaves it to the base ({names})")
        faults = [(file.path, "the base has no such file") for file in added]
        faults += [(name, _LOST) for name in lost]
        # A template that the recipe asks for stands among the tokenizer's settings, too.
        aside = {_TEMPLATE} if recipe.chat_template else set()
        faults += [(file.path, fault) for file in kept for fault in _faults(file, aside, merged, base)]
        for name, fault in faults:
            evidence.violate(name, fault)
        if kept and not faults:
            evidence.prove(_sentence(subject, kept))


def check_recorded(merged: Checkpoint, report: EditReport, evidence: Established) -> None:
    """Without the base: every file of the table is the one that the merge left, by its recorded hash.

    A model's code, which a merge does not leave, is left open: the base may have it or not.

    Raises:
        ModelError: One of them is no regular file, or a link that leads out of its folder.
    """
    recorded = {file.name: file.sha256 for file in report.beside}
    now = side_file_hashes(merged.folder)
    added = [file for file in side_files(merged.folder) if file.path not in recorded]
    if code := [file.path for file in _code_of_a_base(added)]:
        evidence.leave_open(f"the code: {REPORT_FILE} has no hash to hold {', '.join(code)} against")
        now = {name: digest for name, digest in now.items() if name not in code}
    with evidence.proving(f"{len(now)} files beside the weights are the ones that {REPORT_FILE} records"):
        for name in sorted(recorded.keys() | now.keys()):
            if name not in now:
                evidence.violate(name, _LOST)
            elif name not in recorded:
                evidence.violate(name, f"{REPORT_FILE} records no such file")
            elif now[name] != recorded[name]:
                evidence.violate(
                    name, f"sha256 {now[name][:12]}..., {REPORT_FILE} records {recorded[name][:12]}..."
                )
    if merged.config_sha256 == report.base_config_sha256:
        evidence.prove(f"{CONFIG_FILE} is the base's, byte for byte, by the hash in {REPORT_FILE}")
    elif recorded.get(CONFIG_FILE) == merged.config_sha256:
        evidence.leave_open(
            f"that {CONFIG_FILE} says what the base's says: it was written anew, and the base is not at hand"
        )


def _nothing_against(
    subject: Subject, added: Sequence[SideFile], all_expected: Sequence[SideFile]
) -> list[SideFile]:
    """Added files of a kind that the base's folder has none of, though that says nothing about the model."""
    if subject == "code":
        return _code_of_a_base(added)
    # mergekit makes a tokenizer up where the base's folder has none.
    made_up = subject in ("tokenizer", "chat template")
    has_tokenizer = any(file.row.subject == "tokenizer" for file in all_expected)
    return list(added) if made_up and not has_tokenizer else []


def _code_of_a_base(added: Sequence[SideFile]) -> list[SideFile]:
    """Added files of a model's own code, which a download never brings; not what replaces generation."""
    return [file for file in added if file.row.subject == "code" and "/" not in file.path]


def _check_dtypes(merged: Checkpoint, base: Checkpoint, recipe: Recipe, evidence: Established) -> None:
    """The types that a loader casts to: the base's, what the recipe asks for, or the tensors' own."""
    before, after = _dtypes(base.config), _dtypes(merged.config)
    kinds = merged.dtypes()
    for where, stated in after.items():
        allowed = {before.get(where), before.get(""), recipe.target_dtype}
        if stated not in allowed and kinds != {stated}:
            inside = f"{where}.dtype" if where else "dtype"
            was = _short(before.get(where))
            evidence.violate(CONFIG_FILE, f"{inside} is {_short(stated)}, in the base it is {was}")


def _dtypes(config: Mapping[str, Any], inside: str = "") -> dict[str, str]:
    """What a config says of dtypes, by the place in it: "" for its top, "text_config", ..."""
    stated: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            stated |= _dtypes(value, f"{inside}.{key}" if inside else key)
        elif key in ("dtype", "torch_dtype") and value is not None:
            stated[inside] = str(value)
    return stated


def _sentence(subject: Subject, kept: Sequence[SideFile]) -> str:
    if len(kept) == 1:
        return f"{kept[0].path} means what the base's means"
    return f"{len(kept)} {subject} files as the base's"


def _faults(file: SideFile, aside: set[str], merged: Checkpoint, base: Checkpoint) -> Iterator[str]:
    """In what a file that both have differs, by its own way of comparing."""
    row = file.row
    before, after = (read_regular(file_inside(side.folder, file.path)) for side in (base, merged))
    if before == after:
        return
    if row.compared == "as bytes":
        yield "differs from the base's"
        return
    aside = aside | row.bookkeeping
    try:
        base_says, merged_says = (_without(json.loads(raw), aside) for raw in (before, after))
    except (ValueError, RecursionError) as error:
        yield f"cannot be read: {error}"
        return
    if row.compared == "as a config" and base_says != merged_says:
        # Another version of transformers names and fills in defaults in its own way: let it read both.
        read = understood(base.config), understood(merged.config)
        if read[0] is not None and read[1] is not None:
            base_says, merged_says = (_without(one, aside) for one in read)
            for key, here, there in _unread(merged.config, base.config, aside):
                yield f"{key} is {_short(here)}, in the base it is {_short(there)}"
    if isinstance(base_says, dict) and isinstance(merged_says, dict):
        yield from _differing_keys(base_says, merged_says)
    elif base_says != merged_says:
        yield "differs from the base's"


def _differing_keys(base_says: Mapping[str, Any], merged_says: Mapping[str, Any]) -> Iterator[str]:
    keys = sorted(base_says.keys() | merged_says.keys())
    differing = [key for key in keys if base_says.get(key) != merged_says.get(key)]
    for key in differing[:_KEYS_SHOWN]:
        yield f"{key} is {_short(merged_says.get(key))}, in the base it is {_short(base_says.get(key))}"
    if len(differing) > _KEYS_SHOWN:
        yield f"and {len(differing) - _KEYS_SHOWN} more keys differ"


def _without(value: Any, keys: Collection[str]) -> Any:
    """A JSON value without some keys, at any depth of objects."""
    if not isinstance(value, dict):
        return value
    return {key: _without(inner, keys) for key, inner in value.items() if key not in keys}


def _unread(
    merged: Mapping[str, Any], base: Mapping[str, Any], aside: Collection[str]
) -> Iterator[tuple[str, Any, Any]]:
    """What a config states that transformers keeps no word of, where the base's does not say the same.

    A loader may act on it all the same: on how attention is computed, on how text is generated. An older
    spelling of what transformers does understand is passed over.
    """
    read = understood(merged) or {}
    for keys in _paths_beside(merged, read, aside):
        of_merged, of_base = _at(merged, keys), _at(base, keys)
        if of_merged != of_base and understood(_lacking(merged, keys)) == read:
            yield ".".join(keys), of_merged, of_base


def _paths_beside(
    stated: Mapping[str, Any], read: Mapping[str, Any], aside: Collection[str]
) -> Iterator[tuple[str, ...]]:
    for key, value in stated.items():
        if key in aside:
            continue
        if key not in read:
            yield (key,)
        elif isinstance(value, dict) and isinstance(read[key], dict):
            yield from ((key, *inner) for inner in _paths_beside(value, read[key], aside))


def _at(config: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def _lacking(config: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    key, *inner = keys
    if not inner:
        return {name: value for name, value in config.items() if name != key}
    return {**config, key: _lacking(config[key], inner)}


def _short(value: object) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
