"""The whole audit of a merged checkpoint: from its files to what is proved of it."""

from collections.abc import Sequence
from pathlib import Path

from sae_merge_method.artifacts.edit_report import tensors_sha256
from sae_merge_method.artifacts.statement import write_statement
from sae_merge_method.files.parallel import bytes_bar
from sae_merge_method.verify.against_base import check_against_base, expectations, readings_of
from sae_merge_method.verify.against_report import check_against_report, check_against_request
from sae_merge_method.verify.beside_weights import check_beside_weights, check_recorded
from sae_merge_method.verify.origins import held_against, nothing_moves
from sae_merge_method.verify.report import AuditReport, Established
from sae_merge_method.verify.sources import Sources, gathered
from sae_merge_method.verify.statement import statement_of
from sae_merge_method.verify.streams import Streams
from sae_merge_method.verify.structure import check_config, check_names
from sae_merge_method.verify.sweep import sweep
from sae_merge_method.verify.taken_instead import check_taken_instead


def verify(
    checkpoint: str | Path,
    base: str | Path | None = None,
    donors: Sequence[str | Path] = (),
    *,
    statement: str | Path | None = None,
    quiet: bool = False,
) -> AuditReport:
    """Hold a merged checkpoint against its own recipe.

    Every file is read once, on one thread a core. Memory stays at a few megabytes a thread, however large
    the model: everything is compared in pieces (for the scalpel, tensor by tensor). A donor's adapter is
    merged anew, tensor by tensor, into a hidden folder beside the checkpoint, which is removed at the end.

    Args:
        checkpoint: The merged folder, by ``sae-merge merge`` or plain ``mergekit-yaml``.
        base: Folder or Hub id of the base; None for the recipe's, if it is at hand.
        donors: Folders or Hub ids of the donors, in the recipe's order; none for the recipe's, if they
            are at hand.
        statement: File to write what was proved to, as an in-toto statement to be signed; not written where
            something is violated or nothing is proved.
        quiet: Show no progress, even on a terminal.

    Raises:
        SaeMergeError: There is nothing to audit, or nothing to hold it against; what is wrong with
            the checkpoint is in the report instead.
    """
    evidence = Established()
    named = None if base is None else str(base), list(map(str, donors))
    with gathered(Path(checkpoint), *named, evidence) as sources:
        audited = _audited(Path(checkpoint), sources, evidence, quiet=quiet)
    if statement is not None and audited.sound:
        write_statement(Path(statement), statement_of(sources, audited))
    return audited


def _audited(checkpoint: Path, sources: Sources, evidence: Established, *, quiet: bool) -> AuditReport:
    merged, report = sources.merged, sources.report
    expected = expectations(sources)
    readings = readings_of(sources, expected)
    forgeable = {tensor.name for tensor in report.tensors if tensor.sha256} if report else set()
    size = sum(entry.nbytes for entry in merged.tensors.values())
    read = [merged, *([sources.base] if sources.base else []), *sources.donors.values()]
    with Streams(read) as streams, bytes_bar(size, "verify", quiet=quiet) as advance:
        check_taken_instead(merged, evidence)
        check_config(merged, evidence)
        seen = sweep(merged, expected, readings, streams, advance, with_sha256=forgeable)
        if sources.base is not None and not sources.in_place:
            check_names(merged, sources.base, streams, evidence)
            check_beside_weights(merged, sources.base, sources.recipe, report, evidence)
        if sources.base is not None:
            check_against_base(sources, expected, readings, seen, streams, evidence)
        if report is not None:
            if sources.itself is None:  # else what the recipe asks for means nothing
                check_against_request(sources, report.request, evidence)
            check_against_report(sources, report, seen, evidence)
            if sources.base is None or sources.in_place:
                check_recorded(merged, report, evidence)
        streams.require_unchanged()
    merged.require_unchanged()
    why = sources.itself or nothing_moves(sources, expected, seen)
    if why is not None:
        evidence.prove_nothing(why)
    return AuditReport(
        checkpoint=checkpoint,
        merge_method=sources.recipe.merge_method,
        layers=sources.layers,
        n_layers=merged.n_layers,
        result_sha256=tensors_sha256(
            (name, entry.dtype, entry.shape, seen[name].hashes.xxh3) for name, entry in merged.tensors.items()
        ),
        against=tuple(held_against(sources, expected, seen)),
        proved=tuple(evidence.proved),
        unproved=tuple(evidence.unproved),
        violated=evidence.violated,
    )
