"""Whether a checkpoint is whole in itself: its key set, and a config that fits its tensors."""

from collections.abc import Iterable, Iterator

from sae_merge_method.models.checkpoint import CONFIG_FILE, Checkpoint
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.families import vocabulary
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.tensor_names import common_name
from sae_merge_method.verify.report import Established
from sae_merge_method.verify.streams import Streams

_FURTHER = "num_nextn_predict_layers"
"""Key of the number of layers behind the model's own that predict further tokens (DeepSeek-V3, GLM-4.5); a
checkpoint may hold them or not."""


def check_names(merged: Checkpoint, base: Checkpoint, streams: Streams, evidence: Established) -> None:
    """The key set is the base's; a head that is the embedding may be stored or not."""
    sentence = f"{len(merged.tensors)} tensors: the base's names, nothing dropped, nothing added"
    with evidence.proving(sentence):
        for name in sorted(set(base.tensors) - set(merged.tensors)):
            if not _is_tied(name, base, streams):
                evidence.violate(name, "the base has this tensor, the checkpoint lacks it")
        for name in sorted(set(merged.tensors) - set(base.tensors)):
            if not _is_tied(name, merged, streams):
                evidence.violate(name, "the checkpoint has this tensor, the base does not")


def _is_tied(name: str, holder: Checkpoint, streams: Streams) -> bool:
    """Whether a tensor is a stored copy of the embedding, in a model that does not forbid to share it."""
    embedding = _first(vocabulary().embeddings, holder)
    is_head = common_name(name) in vocabulary().heads
    if not is_head or embedding is None or _stated(holder, "tie_word_embeddings") is False:
        return False
    return streams.same_bytes(holder.tensors[name], embedding)


def check_config(merged: Checkpoint, evidence: Established) -> None:
    """config.json speaks of these very tensors: layers, vocabulary, width, dtype, tied head."""
    with evidence.proving(f"{CONFIG_FILE} fits the tensors"):
        for fault in _unfitting(merged):
            evidence.violate(CONFIG_FILE, fault)


def _unfitting(merged: Checkpoint) -> Iterator[str]:
    layers = {part.layer for part in merged.layer_tensors}
    count, further = merged.stated_layers, _stated(merged, _FURTHER)
    most = count + (further if isinstance(further, int) else 0)
    if sum(layer < count for layer in layers) != count or max(layers, default=0) >= most:
        behind = f" and {further} behind them ({_FURTHER})" if further else ""
        yield f"says {count} layers{behind}, the tensors have {len(layers)}"
    embedding = _first(vocabulary().embeddings, merged)
    if embedding is not None and len(embedding.shape) == 2:
        rows, width = embedding.shape
        for key, size in (("vocab_size", rows), *((key, width) for key in vocabulary().widths)):
            stated = _stated(merged, key)
            if stated is not None and stated != size:
                yield f"says {key} {stated}, {embedding.name} has {size}"
    yield from _unfitting_dtype(merged)
    untied = _stated(merged, "tie_word_embeddings") is False and embedding is not None
    if untied and _first(vocabulary().heads, merged) is None:
        yield f"says that the head is not tied, and there is no {' or '.join(vocabulary().heads)}"


def _first(names: Iterable[str], checkpoint: Checkpoint) -> TensorEntry | None:
    """The tensor that has one of these common names."""
    by_common = {common_name(name): entry for name, entry in checkpoint.tensors.items()}
    return next((by_common[name] for name in names if name in by_common), None)


def _unfitting_dtype(merged: Checkpoint) -> Iterator[str]:
    kinds = merged.dtypes()
    for config in (merged.config, merged.text_config):
        for key in ("dtype", "torch_dtype"):
            stated = config.get(key)
            # A loader's own setting such as "auto" says nothing about what is stored.
            if stated in DTYPE_NAMES.values() and kinds and stated not in kinds:
                yield f"says {key} {stated}, the tensors are {', '.join(sorted(kinds))}"
                return


def _stated(checkpoint: Checkpoint, key: str) -> object:
    """What the config says, in the text model's part or at the top."""
    return checkpoint.text_config.get(key, checkpoint.config.get(key))
