"""A comparison as a card shows it, and whether it was of this very checkpoint; any report as a section.

A comparison, as an arm of an experiment, carries the hash of the result that it was measured on. A card takes
what carries its folder's own hash; what carries none is taken only where its author answers for it.
"""

import logging
import re
from pathlib import Path

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.experiment import BY_HAND
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.regular import read_regular_text
from sae_merge_method.reports.grid import as_markdown
from sae_merge_method.reports.markdown import bullets, code, plain, section
from sae_merge_method.verdict_tables.tables import counted, how_tested, verdict_table

LOG = logging.getLogger(__name__)

FEW_PROBLEMS = 100
"""Below this a card names the number beside each score: a share of so few is uncertain by ten points."""

_HEADING = re.compile(r"^(#{1,5}) ", re.MULTILINE)
_BY_HAND = re.compile(rf"^## {BY_HAND}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_SUBJECTS_NAMED = 2
"""More of them are only counted: the table names them."""
_UNMATCHED = "**Not known to be of this checkpoint** (allowed)"


def verdict_section(comparison: Comparison, unmatched: str | None = None) -> str:
    """What the edit did to the scores: the table that ``sae-merge compare`` shows.

    Args:
        comparison: Of the base and this model.
        unmatched: Why nobody can tell that it is of this model, or None where it is.
    """
    reservations = [unmatched_words(unmatched)] if unmatched is not None else []
    reservations += [
        f"**Runs differ beside the model** (allowed): {plain(line)}" for line in comparison.mismatches
    ]
    reservations += [f"**May move a score**: {plain(line)}" for line in comparison.marks]
    reservations += [plain(note) for note in comparison.notes]
    fewest = {one.task: [n for n in (one.n, one.n_edited) if n is not None] for one in comparison.subjects}
    few = {task: min(both) for task, both in fewest.items() if both and min(both) < FEW_PROBLEMS}
    if few:
        counts = ", ".join(f"{plain(task)} on {n}" for task, n in few.items())
        reservations.append(f"**Few problems**: {counts}. Scores of so few move by chance.")
    tasks = [plain(subject.task) for subject in comparison.subjects]
    named = " and ".join(tasks) if len(tasks) <= _SUBJECTS_NAMED else f"the {len(tasks)} subjects above"
    reservations.append(
        f"Evaluated on {named} and nothing else: what the edit did to other abilities is not known."
    )
    return section(
        "What changed",
        f"Metric {code(comparison.metric)}, {how_tested(comparison)} at {comparison.alpha:g}: "
        f"{counted(comparison)} (before correction).",
        as_markdown(verdict_table(comparison)),
        bullets(reservations),
    )


def unmatched_words(unmatched: str | None) -> str:
    """What opens a section that may be of another checkpoint; empty where it is known to be of this one."""
    return "" if unmatched is None else f"{_UNMATCHED}: {plain(unmatched)}"


def report_section(heading: str, report: Path, opening: str) -> str:
    """A Markdown report as a section: without its title, and what only makes sense beside it.

    Args:
        heading: Of the section.
        report: The file.
        opening: What stands before the report; may be empty.

    Raises:
        ArtifactError: It cannot be read.
    """
    try:
        text = read_regular_text(report)
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read the report {report}: {error}") from error
    body = _BY_HAND.sub("", re.sub(r"\A\s*# .*\n", "", text))
    return section(heading, opening, _HEADING.sub(r"#\1 ", body).strip())


def unmatched_comparison(comparison: Comparison, where: str, result: str | None) -> str | None:
    """Why it cannot be told that a comparison is of a checkpoint; None where it is.

    Args:
        comparison: Its edited model's side is looked at.
        where: How messages name it.
        result: Hash of the checkpoint, as its edit report has it; None without one.

    Raises:
        ArtifactError: It is of another checkpoint.
    """
    measured = comparison.edited.result_sha256
    if measured is not None and result is not None and measured != result:
        raise ArtifactError(
            f"the comparison {where} is of another checkpoint: {comparison.edited.label} was evaluated as "
            f"result {measured[:16]}, this folder is result {result[:16]}"
        )
    if measured is None:
        return (
            f"{where} does not say which checkpoint was evaluated as {comparison.edited.model}: lm-eval's "
            "results name no folder whose edit report was there before them"
        )
    return None if result is not None else no_hash()


def no_hash() -> str:
    """Why nothing can be told of a checkpoint that no report says the hash of."""
    return "this folder has no hash of the whole result: no edit report, or one of an edit in place"
