"""The files beside the weights: config and tokenizer must say what the base's say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.models.checkpoint import CONFIG_FILE, Checkpoint
from sae_merge_method.verify.ledger import Ledger

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt",
)  # fmt: skip
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
# Written by whoever saved a config last; no tensor and no token depends on them.
_BOOKKEEPING = frozenset({"transformers_version", "_name_or_path", "_commit_hash", "dtype", "torch_dtype"})


def check_companions(merged: Checkpoint, base: Checkpoint, recipe: Recipe, ledger: Ledger) -> None:
    """config.json and the tokenizer's files against the base's."""
    before = ledger.faults
    _check_config(merged, base, ledger)
    ledger.conclude(f"{CONFIG_FILE} means what the base's means", ledger.faults - before)
    before = ledger.faults
    # A template that the recipe asks for stands in these files.
    free = ("chat_template",) if recipe.chat_template else ()
    names = TOKENIZER_FILES if free else TOKENIZER_FILES + TEMPLATE_FILES
    held = [name for name in names if (base.folder / name).exists()]
    there = [name for name in held if (merged.folder / name).exists()]
    for name in there:
        _check_file(merged.folder / name, base.folder / name, free, ledger)
    added = [name for name in names if name not in held and (merged.folder / name).exists()]
    if added and not held:
        # mergekit makes a tokenizer up where the base's folder has none.
        ledger.unproved.append(f"the tokenizer: the base has none to hold {', '.join(added)} against")
    for name in added if held else ():
        ledger.violate(name, "the base has no such file")
    if len(there) < len(held):
        missing = ", ".join(name for name in held if name not in there)
        ledger.unproved.append(f"the tokenizer as a whole: the checkpoint leaves it to the base ({missing})")
    if there:
        ledger.conclude(f"{len(there)} tokenizer files as the base's", ledger.faults - before)


def _check_config(merged: Checkpoint, base: Checkpoint, ledger: Ledger) -> None:
    if merged.config_sha256 == base.config_sha256:
        return
    ours, theirs = _meaning(merged.config), _meaning(base.config)
    if ours != theirs:
        # Another version of transformers names and fills in defaults in its own way: let it read both.
        understood = _understood(merged.config), _understood(base.config)
        if understood[0] is not None and understood[1] is not None:
            ours, theirs = understood[0], understood[1]
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            ledger.violate(
                CONFIG_FILE, f"{key} is {_short(ours.get(key))}, in the base it is {_short(theirs.get(key))}"
            )


def _check_file(ours: Path, theirs: Path, free: tuple[str, ...], ledger: Ledger) -> None:
    one, other = ours.read_bytes(), theirs.read_bytes()
    if one == other:
        return
    if ours.suffix == ".json":
        try:
            left, right = (
                {key: value for key, value in json.loads(raw).items() if key not in free}
                for raw in (one, other)
            )
        except (ValueError, AttributeError, RecursionError) as error:
            ledger.violate(ours.name, f"cannot be read: {error}")
            return
        if left == right:
            return
        differing = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
        ledger.violate(ours.name, f"differs from the base's in {', '.join(differing[:5])}")
    else:
        ledger.violate(ours.name, "differs from the base's")


def _meaning(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _meaning(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in _BOOKKEEPING
    }


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
    return _meaning(understood)


def _short(value: object) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
