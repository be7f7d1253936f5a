"""A base loaded into memory with its donors' files beside it, held against each other first."""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.tensors import match_tensors
from sae_merge_method.loaded.text_model import load_text_model
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.devices import AUTO
from sae_merge_method.models.hub import open_model, parse_model_id
from sae_merge_method.recipe.donors import open_donors
from sae_merge_method.recipe.lineage import oddities
from sae_merge_method.recipe.plan import Donation, EditPlan
from sae_merge_method.recipe.preflight import check_donors, check_family

logger = logging.getLogger(__name__)


def check_fits(
    base: str, donors: Sequence[str], *, beside: Path, allow_mismatch: Collection[str] = ()
) -> None:
    """Hold donors against a base by their files: what is wrong is told before anything is loaded.

    Args:
        base: Folder or Hub id, ``@revision`` allowed.
        donors: Likewise, ``+adapter`` allowed.
        beside: Adapters are merged in a hidden sibling of this path for the moment.
        allow_mismatch: Keys of config.json in which they may differ.

    Raises:
        ModelError: A model cannot be read.
        MergeError: A donor is no fine-tune of the base.
    """
    with _opened(base, donors, beside, allow_mismatch):
        pass


@contextmanager
def _opened(
    base: str, donors: Sequence[str], beside: Path, allow_mismatch: Collection[str]
) -> Iterator[tuple[EditPlan, Checkpoint, dict[str, Checkpoint]]]:
    checkpoint = open_model(base)
    everything = tuple(range(checkpoint.n_layers))
    offers = tuple(Donation(donor, ((None, 1.0),)) for donor in donors)
    plan = EditPlan("task_arithmetic", base, dict.fromkeys(everything, offers), None)
    with open_donors(plan, beside, {}) as opened:
        check_family(checkpoint, opened, allow_mismatch)
        check_donors(plan, checkpoint, opened)
        yield plan, checkpoint, {donor: opened[donor] for donor in donors}


@contextmanager
def open_edited(
    base: str,
    donors: Sequence[str],
    *,
    beside: Path,
    dtype: str = "auto",
    device: str | None = AUTO,
    outside: bool = True,
    hold: bool = False,
    allow_mismatch: Collection[str] = (),
) -> Iterator[EditedModel]:
    """Load a base, open its donors, and find every tensor of their task vectors in memory.

    Args:
        base: Folder or Hub id, ``@revision`` allowed.
        donors: Likewise, ``+adapter`` allowed; in any layout of the base's. Each once.
        beside: Adapters are merged in a hidden sibling of this path, and are gone when the block ends.
        dtype: What the model computes in; "auto" is the checkpoint's. Along a path of small weights float32
            is the one that sees every step: in bfloat16 most of a small edit is rounded away.
        device: A torch device, or auto for the best there is; None to spread the model over all there are.
        outside: Whether embeddings, final norm and head are edited, too; an adapter's own are not.
        hold: Keep base and task vectors in memory as well, in float32 beside the model.
        allow_mismatch: Keys of config.json in which they may differ.

    Raises:
        ModelError: A model cannot be read, or is loaded in another form than its files hold.
        MergeError: A donor is no fine-tune of the base.
        UsageError: A name is malformed, or there is no such device.
    """
    with _opened(base, donors, beside, allow_mismatch) as (plan, checkpoint, in_order):
        for oddity in oddities(plan, checkpoint, in_order):
            logger.warning("%s", oddity)
        model = load_text_model(base, dtype, device, with_head=True)
        matched = match_tensors(model, checkpoint, in_order, outside=outside)
        adapted = [donor for donor in donors if parse_model_id(donor).adapter is not None] if outside else []
        left_out = (
            *matched.left_out,
            *(
                f"what the adapter of {donor} does outside the decoder layers is not read"
                for donor in adapted
            ),
        )
        for what in left_out:
            logger.warning("not in the task vector: %s", what)
        edited = EditedModel(
            model, matched.tensors, (checkpoint, *in_order.values()), left_out=left_out, hold=hold
        )
        edited.check_loaded()
        yield edited
