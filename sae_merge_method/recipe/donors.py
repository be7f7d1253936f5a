"""Open a plan's donors: plain checkpoints, and LoRA adapters merged into theirs.

An adapter is merged in the selected layers alone, and its tensors live as long as somebody needs the donor.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sae_merge_method.files.scratch import scratch_folder
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
                adapter = open_adapter(local_folder(donor.adapter, cache))
                adapter.require_fits(model, layers, name)
                for note in adapter.notes:
                    LOG.warning("the adapter of %s: %s", name, note)
                folder = stack.enter_context(scratch_folder(beside, "adapters"))
                model = merge_adapter(adapter, model, layers, folder, options.get("lora_merge_dtype"))
            donors[name] = model
        yield donors
