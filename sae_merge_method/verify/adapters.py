"""Donors that are a model with a LoRA adapter: merged anew for an audit, as the merge itself did.

What is merged lies beside the checkpoint as long as the audit needs it, as it lay there for the merge: the
tensors that the adapter changes in the selected layers, made one at a time. Their sums are BLAS's: another
machine may come to other last bits of them.
"""

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from sae_merge_method.files.scratch import scratch_folder
from sae_merge_method.layers import Unit
from sae_merge_method.models.adapter_merge import MERGED_FILE
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.hub import ModelId
from sae_merge_method.models.lora_config import ADAPTER_CONFIG
from sae_merge_method.models.repository import is_hub_id
from sae_merge_method.recipe.donors import with_adapter


@dataclass(frozen=True)
class AdapterBench:
    """Where an audit merges adapters, and how the checkpoint's own merge did."""

    checkpoint: Path
    """What is audited; what is made lies in hidden siblings of it."""
    dtype: str | None
    """What the merge had merged adapters rounded to; None for the default."""
    stack: ExitStack
    """What is made is removed when it is closed."""

    def merged(self, model: Checkpoint, adapter: Path, layers: Collection[Unit], name: str) -> Checkpoint:
        """A model with an adapter merged into some of its layers; it is still told by the model's own folder.

        Args:
            model: The model.
            adapter: The adapter's folder.
            layers: Decoder layers, whole or in part.
            name: How messages name model and adapter.

        Raises:
            ModelError: A file is damaged, or the adapter is of a kind that cannot be read.
            MergeError: The adapter does not fit the model.
            OSError: There is no writing beside the checkpoint.
        """
        folder = self.stack.enter_context(scratch_folder(self.checkpoint.resolve(), "adapters"))
        return replace(with_adapter(model, adapter, layers, name, folder, self.dtype), folder=model.folder)


def is_summed(donor: Checkpoint, entry: TensorEntry) -> bool:
    """Whether a donor's tensor was made of an adapter's factors: it lies outside the donor's own folder."""
    return entry.file.name == MERGED_FILE and entry.file.parent != donor.folder


def adapter_at_hand(adapter: ModelId) -> Path | None:
    """An adapter's folder: itself, or the snapshot in the Hub's cache. Nothing is downloaded."""
    if adapter.folder is not None or not is_hub_id(adapter.path):
        return adapter.folder
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(adapter.path, ADAPTER_CONFIG, revision=adapter.revision)
    return Path(config).parent if isinstance(config, str) else None
