"""The statement of an audit: what was proved, bound to the weight files by their sha256."""

from functools import partial
from hashlib import sha256

import sae_merge_method
from sae_merge_method.artifacts.edit_report import FileReport
from sae_merge_method.artifacts.recipe import RECIPE_FILE
from sae_merge_method.artifacts.statement import Digest, HeldModel, Statement, Subject, VerifiedMerge
from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.files.parallel import run_all
from sae_merge_method.models.beside_weights import side_file_hashes
from sae_merge_method.verify.report import AuditReport
from sae_merge_method.verify.sources import Sources


def statement_of(sources: Sources, report: AuditReport) -> Statement:
    """What an audit proved, as an in-toto statement; every weight file is read once more for its sha256.

    Args:
        sources: What was audited.
        report: What came of it: something is proved, and nothing is violated.

    Raises:
        SaeMergeError: A file changed meanwhile.
    """
    merged = sources.merged
    digests = run_all([partial(file_sha256, file) for file in merged.files])
    merged.require_unchanged()
    recipe = sha256(sources.resolved.text.encode()).hexdigest()
    return Statement(
        subject=tuple(
            Subject(name=file.name, digest=Digest(sha256=digest))
            for file, digest in zip(merged.files, digests, strict=True)
        ),
        predicate=VerifiedMerge(
            tool=f"sae-merge-method {sae_merge_method.__version__}",
            merge_method=report.merge_method,
            layers=report.layers,
            n_layers=report.n_layers,
            recipe=Subject(name=RECIPE_FILE, digest=Digest(sha256=recipe)),
            result_sha256=report.result_sha256,
            beside=tuple(
                FileReport(name=name, sha256=digest)
                for name, digest in sorted(side_file_hashes(merged.folder).items())
            ),
            against=tuple(HeldModel(**model.model_dump(exclude={"folder"})) for model in report.against),
            proved=report.proved,
            not_proved=report.unproved,
        ),
    )
