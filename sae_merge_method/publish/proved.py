"""The statements of ``sae-merge verify`` that a card links: those of the very weights that lie beside it."""

import logging
import os
from collections.abc import Mapping
from functools import cache, partial
from urllib.parse import quote

from sae_merge_method.artifacts.edit_report import REPORT_FILE
from sae_merge_method.artifacts.statement import STATEMENT_FILES, Statement, read_statement
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.files.parallel import run_all
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.reports.markdown import bullets, code, plain, section

LOG = logging.getLogger(__name__)


def statement_section(checkpoint: Checkpoint, result: str | None) -> str:
    """Links to the statements of ``sae-merge verify`` in a checkpoint's folder; nothing where there is none.

    One that is of another result, or none of ours, is warned of in the log and left out. Where no report
    says the result's hash, the weight files are read, and held against the sha256 of each in the statement.

    Args:
        checkpoint: The folder.
        result: Hash of the checkpoint, as its edit report has it; None without one.
    """
    folder, paragraphs = checkpoint.folder, []
    digests = cache(lambda: _digests(checkpoint))
    for file in sorted(folder.glob(STATEMENT_FILES)):
        try:
            statement = read_statement(file)
        except ArtifactError as error:
            LOG.warning("%s is not linked: %s", file.name, error)
            continue
        of = statement.predicate.result_sha256
        if result is not None and of != result:
            LOG.warning(
                "%s is not linked: it is of result %s, this folder's is %s", file.name, of[:16], result[:16]
            )
            continue
        if result is None and _subjects(statement) != digests():
            LOG.warning("%s is not linked: it is of other weight files than %s holds", file.name, folder)
            continue
        signed = [one.name for one in sorted(folder.glob(f"{file.name}.*"))]
        against = " and ".join(
            f"the {one.role} {code(one.model)}" + (f" at {code(one.revision)}" if one.revision else "")
            for one in statement.predicate.against
        )
        paragraphs.append(
            f"{_link(file.name)} states what {code('sae-merge verify')} proved of these weight files, "
            f"each by its sha256 (in-toto Statement v1), against {against or code(REPORT_FILE)}"
            + (f"; signed: {', '.join(map(_link, signed))}." if signed else ".")
        )
        paragraphs.append(bullets([plain(line) for line in statement.predicate.proved]))
        if statement.predicate.not_proved:
            unproved = bullets([plain(line) for line in statement.predicate.not_proved])
            paragraphs += ["**Not proved** by it:", unproved]
    return section("What was proved", *paragraphs) if paragraphs else ""


def _subjects(statement: Statement) -> Mapping[str, str]:
    return {one.name: one.digest.sha256 for one in statement.subject}


def _digests(checkpoint: Checkpoint) -> Mapping[str, str]:
    """By name the sha256 of every weight file."""
    names = [file.name for file in checkpoint.files]
    return dict(zip(names, run_all([partial(file_sha256, file) for file in checkpoint.files]), strict=True))


def _link(name: str) -> str:
    return f"[{plain(name)}]({quote(os.fsencode(name))})"
