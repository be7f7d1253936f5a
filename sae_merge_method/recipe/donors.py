"""Open a plan's donors: plain checkpoints, and LoRA adapters merged into theirs.

An adapter is merged in the selected layers alone, and its tensors live as long as somebody needs the donor.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sae_merge_method.files.scratch import scratch_folder
from sae_merge_method.layers import Unit
from sae_merge_method.models.adapter import open_adapter
from sae_merge_method.models.adapter_merge import merge_adapter
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.recipe.plan import EditPlan

LOG = logging.getLogger(__name__)


@contextmanager
def open_donors(plan: EditPlan, beside: Path, options: Mapping[str, Any]) -> Iterator[dict[str, Checkpoint]]:
    """Yield every donor of ``plan`` as a checkpoint, by the recipe's name for it.

    Args:
        plan: The edit.
        beside: Adapters are merged in a hidden sibling of this path.
        options: Fields of ``mergekit.options.MergeOptions``.

    Raises:
        ModelError: A donor or an adapter cannot be read.
        MergeError: An adapter does not fit its model.
    """
    cache = options.get("transformers_cache")
    with ExitStack() as stack:
        donors: dict[str, Checkpoint] = {}
        for name in plan.donors:
            donor = parse_model_id(name)
            model = open_checkpoint(local_folder(donor, cache))
            layers = plan.layers_of(name)
            model.require_agreement(layers)
            if donor.adapter is not None:
                adapter = local_folder(donor.adapter, cache)
                folder = stack.enter_context(scratch_folder(beside, "adapters"))
                model = with_adapter(model, adapter, layers, name, folder, options.get("lora_merge_dtype"))
            donors[name] = model
        yield donors


def with_adapter(
    model: Checkpoint, adapter: Path, layers: Collection[Unit], name: str, into: Path, dtype: str | None
) -> Checkpoint:
    """A model with an adapter merged into some of its layers; what is odd about the adapter is logged.

    Args:
        model: The model.
        adapter: The adapter's folder.
        layers: Decoder layers, whole or in part.
        name: How messages name model and adapter.
        into: Where the merged tensors are written.
        dtype: What to round them to; None for not at all.

    Raises:
        ModelError: A file is damaged, the adapter cannot be read, or no dtype is called so.
        MergeError: The adapter does not fit the model.
    """
    opened = open_adapter(adapter)
    opened.require_fits(model, layers, name)
    for note in opened.notes:
        LOG.warning("the adapter of %s: %s", name, note)
    return merge_adapter(opened, model, layers, into, dtype)
