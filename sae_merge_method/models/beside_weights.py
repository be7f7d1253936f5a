"""The files beside a checkpoint's weights that decide what a model says: one table, a row a file.

A merge copies by it and an audit compares by it, so that no file can be in one and forgotten in the
other. A card, the recipe and the edit report are about a checkpoint, not of it: they have no row.
"""

from typing import Literal, NamedTuple

from sae_merge_method.models.checkpoint import CONFIG_FILE

Subject = Literal["config", "generation config", "tokenizer", "chat template", "processor"]
Taken = Literal["always", "with the tokenizer", "multimodal"]
Compared = Literal["as bytes", "as JSON", "as a config"]


class BesideWeights(NamedTuple):
    """One file."""

    name: str
    subject: Subject
    """What it decides."""
    taken: Taken
    """When a merge takes it over from the base: always, unless told to leave the tokenizer, or only
    where the model takes more than text."""
    compared: Compared
    """When it says what the base's says: with the same bytes, with the same JSON values, or, for a config,
    also where transformers understands the two alike."""
    bookkeeping: frozenset[str] = frozenset()
    """Keys, at any depth, that whoever saved the file last wrote: nothing depends on them."""


_SAVED_BY = frozenset({"transformers_version", "_commit_hash", "_name_or_path"})
_DTYPE = frozenset({"dtype", "torch_dtype"})  # an audit holds them against the tensors
_MADE_FROM = frozenset({"_from_model_config", "_original_object_hash"})
_LOADED_FROM = frozenset({"is_local", "local_files_only"})

SIDE_FILES: dict[str, BesideWeights] = {
    row.name: row
    for row in (
        BesideWeights(CONFIG_FILE, "config", "always", "as a config", _SAVED_BY | _DTYPE),
        BesideWeights(
            "generation_config.json", "generation config", "always", "as JSON", _SAVED_BY | _MADE_FROM
        ),
        # Of a vocabulary every key counts: a token may be called "dtype".
        BesideWeights("tokenizer.json", "tokenizer", "with the tokenizer", "as JSON"),
        BesideWeights("tokenizer.model", "tokenizer", "with the tokenizer", "as bytes"),
        BesideWeights("tokenizer_config.json", "tokenizer", "with the tokenizer", "as JSON", _LOADED_FROM),
        BesideWeights("special_tokens_map.json", "tokenizer", "with the tokenizer", "as JSON"),
        BesideWeights("added_tokens.json", "tokenizer", "with the tokenizer", "as JSON"),
        BesideWeights("vocab.json", "tokenizer", "with the tokenizer", "as JSON"),
        BesideWeights("merges.txt", "tokenizer", "with the tokenizer", "as bytes"),
        BesideWeights("chat_template.jinja", "chat template", "with the tokenizer", "as bytes"),
        BesideWeights("chat_template.json", "chat template", "with the tokenizer", "as JSON"),
        BesideWeights("preprocessor_config.json", "processor", "multimodal", "as JSON", _SAVED_BY),
        BesideWeights("processor_config.json", "processor", "multimodal", "as JSON", _SAVED_BY),
        BesideWeights("video_preprocessor_config.json", "processor", "multimodal", "as JSON", _SAVED_BY),
    )
}
"""By name, in the order in which an audit tells of them."""


def files_to_take(*, tokenizer: bool, multimodal: bool) -> list[str]:
    """Names of the files that a merge takes over from its base, where the base has them.

    Args:
        tokenizer: Whether the tokenizer is wanted.
        multimodal: Whether the model takes more than text.
    """
    wanted = {"always": True, "with the tokenizer": tokenizer, "multimodal": multimodal}
    return [row.name for row in SIDE_FILES.values() if wanted[row.taken]]
