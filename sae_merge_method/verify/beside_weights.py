"""The files beside the weights: every one of the table must say what the base's says."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.files.regular import read_regular
from sae_merge_method.models.beside_weights import SIDE_FILES, BesideWeights, Subject
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.shards import file_inside
from sae_merge_method.verify.report import Evidence

_TEMPLATE = "chat_template"
_KEYS_SHOWN = 5


def check_beside_weights(merged: Checkpoint, base: Checkpoint, recipe: Recipe, evidence: Evidence) -> None:
    """Every file of :data:`~sae_merge_method.models.beside_weights.SIDE_FILES` against the base's.

    Raises:
        ModelError: One of them is a link that leads out of its folder.
        OSError: One of them cannot be read, or is no regular file.
    """
    for subject in get_args(Subject):
        rows = [row for row in SIDE_FILES.values() if row.subject == subject]
        written = [row for row in rows if (merged.folder / row.name).exists()]
        expected = [row for row in rows if (base.folder / row.name).exists()]
        if subject == "chat template" and recipe.chat_template:
            if written:
                evidence.leave_open("the chat template: the recipe asks for another than the base's")
            continue
        kept = [row for row in expected if row in written]
        added = [row.name for row in written if row not in expected]
        if added and subject in ("tokenizer", "chat template") and not _has_tokenizer(base):
            # mergekit makes a tokenizer up where the base's folder has none.
            evidence.leave_open(f"the {subject}: the base has none to hold {', '.join(added)} against")
            added = []
        if missing := [row.name for row in expected if row not in written]:
            names = ", ".join(missing)
            evidence.leave_open(f"the {subject} as a whole: the checkpoint leaves it to the base ({names})")
        faults = [(name, "the base has no such file") for name in added]
        # A template that the recipe asks for stands among the tokenizer's settings, too.
        aside = {_TEMPLATE} if recipe.chat_template else set()
        faults += [(row.name, fault) for row in kept for fault in _faults(row, aside, merged, base)]
        for name, fault in faults:
            evidence.violate(name, fault)
        if kept and not faults:
            evidence.prove(_sentence(subject, kept))


def _has_tokenizer(base: Checkpoint) -> bool:
    return any((base.folder / row.name).exists() for row in SIDE_FILES.values() if row.subject == "tokenizer")


def _sentence(subject: Subject, kept: Sequence[BesideWeights]) -> str:
    if len(kept) == 1:
        return f"{kept[0].name} means what the base's means"
    return f"{len(kept)} {subject} files as the base's"


def _faults(row: BesideWeights, aside: set[str], merged: Checkpoint, base: Checkpoint) -> Iterator[str]:
    """In what a file that both have differs, by its own way of comparing."""
    before, after = (read_regular(file_inside(side.folder, row.name)) for side in (base, merged))
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
        understood = _understood(base.config), _understood(merged.config)
        if understood[0] is not None and understood[1] is not None:
            base_says, merged_says = (_without(one, aside) for one in understood)
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


def _understood(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config as transformers understands it; None where it does not."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        return None
    try:
        understood: dict[str, Any] = CONFIG_MAPPING[kind].from_dict(dict(config)).to_dict()
    except (StrictDataclassError, TypeError, ValueError, AttributeError, KeyError):
        return None  # whatever its classes make of a bad value
    return understood


def _short(value: object) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
