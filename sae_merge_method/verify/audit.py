"""The whole audit of a merged checkpoint: from its files to what is proved of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.verify.against_base import check_against_base
from sae_merge_method.verify.against_report import check_against_report, check_against_request
from sae_merge_method.verify.beside_weights import check_companions
from sae_merge_method.verify.ledger import Ledger, Progress
from sae_merge_method.verify.sources import Sources, gather
from sae_merge_method.verify.streams import Streams
from sae_merge_method.verify.structure import check_config, check_files, check_names


@dataclass(frozen=True)
class Audit:
    """What was audited, against what, and with which result."""

    sources: Sources
    ledger: Ledger


def verify(folder: Path, base: str | None = None, donors: Sequence[str] = ()) -> Audit:
    """Hold a merged checkpoint against its own recipe.

    Memory stays at a few megabytes, however large the model: everything is compared in pieces (for
    the scalpel, tensor by tensor).

    Args:
        folder: The checkpoint, by ``sae-merge merge`` or plain ``mergekit-yaml``.
        base: Folder or Hub id of the base; None for the recipe's, if it is at hand.
        donors: The same of the donors, in the recipe's order.

    Raises:
        SaeMergeError: There is nothing to audit, or nothing to hold it against; what is wrong with
            the checkpoint is in the audit instead.
    """
    ledger = Ledger()
    sources = gather(folder, base, donors, ledger)
    merged = sources.merged
    size = sum(entry.nbytes for entry in merged.tensors.values())
    passes = (sources.base is not None) + (sources.report is not None)
    read = [merged, *([sources.base] if sources.base else []), *sources.donors.values()]
    with WeightFiles(read) as files, Progress(size * passes) as progress:
        streams = Streams(files)
        check_files(merged, ledger)
        check_config(merged, ledger)
        if sources.base is not None:
            check_names(merged, sources.base, streams, ledger)
            check_companions(merged, sources.base, sources.recipe, ledger)
            check_against_base(sources, streams, progress, ledger)
        if sources.report is not None:
            check_against_request(sources, sources.report.request, ledger)
            check_against_report(sources, sources.report, streams, progress, ledger)
        files.require_unchanged()
    merged.require_unchanged()
    return Audit(sources, ledger)
