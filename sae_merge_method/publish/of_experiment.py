"""An experiment as a model's card shows it: its report, behind the words for which of its arms the model is.

The report calls one arm, the pick, "the edit". A model that is another arm is told apart from it, and its
own numbers come first.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.experiment import (
    EXPERIMENT_FILE,
    TABLE_FILE,
    Experiment,
    MeasuredArm,
    read_experiment,
)
from sae_merge_method.errors import ArtifactError
from sae_merge_method.layers import format_layers, named_units
from sae_merge_method.publish.measured import no_hash, report_section, unmatched_words
from sae_merge_method.reports import numbers
from sae_merge_method.reports.markdown import bullets, code, plain

_THE_EDIT = '"the edit", "the pick" and "the selected layers"'
_OF_ANOTHER = f"Below, {_THE_EDIT} are "
_THIS = "this model"


class Matched(NamedTuple):
    """What is known of a checkpoint's place in an experiment."""

    unmatched: str | None
    """Why nobody can tell that it is one of its arms; None where it is one."""
    experiment: Experiment | None = None
    """Of which it is an arm; None where that cannot be told."""
    arms: tuple[MeasuredArm, ...] = ()
    """The arms that it is: more than one only where their weights are the same."""


def require_report(path: Path) -> Path:
    """The report of an experiment's folder, or the Markdown file itself.

    Raises:
        ArtifactError: There is none.
    """
    report = path / TABLE_FILE if path.is_dir() else path
    if not report.is_file():
        raise ArtifactError(f"expected an experiment's folder with {TABLE_FILE}, or such a file, at {path}")
    return report


def match_experiment(path: Path, result: str | None) -> Matched:
    """Which arms of an experiment a checkpoint is.

    Args:
        path: The experiment's folder, or its Markdown report, beside which its numbers lie.
        result: Hash of the checkpoint, as its edit report has it; None without one.

    Raises:
        ArtifactError: No arm is this checkpoint, though all say which one they are.
    """
    file = (path if path.is_dir() else path.parent) / EXPERIMENT_FILE
    if not file.is_file():
        return Matched(
            f"there is no {EXPERIMENT_FILE} beside {path}, which says what its arms were measured on"
        )
    experiment = read_experiment(file)
    if result is None:
        return Matched(no_hash())
    own = tuple(arm for arm in experiment.arms if arm.result_sha256 == result)
    if own:
        return Matched(None, experiment, own)
    if all(arm.result_sha256 is None for arm in experiment.arms):
        return Matched(f"the arms of {path} carry no hash of what was measured")
    names = ", ".join(arm.name for arm in experiment.arms)
    raise ArtifactError(
        f"the experiment {path} is of other checkpoints: none of its arms ({names}) is result "
        f"{result[:16]}, which this folder is"
    )


def experiment_section(path: Path, matched: Matched) -> str:
    """The report of an experiment, behind the words for which arm the model is.

    Args:
        path: The experiment's folder, or its Markdown report.
        matched: What is known of the model's place in it.

    Raises:
        ArtifactError: There is no report, or it cannot be read.
    """
    heading, report = "What else was tried", require_report(path)
    if matched.experiment is None:
        return report_section(heading, report, unmatched_words(matched.unmatched))
    text = report_section(heading, report, _opening(matched.experiment, matched.arms))
    return "\n\n".join(_marked(block, matched.arms) for block in text.split("\n\n"))


def is_of_this_edit(section: str) -> bool:
    """Whether what such a section calls the edit is this model, as far as it says."""
    return _OF_ANOTHER not in section


def _opening(experiment: Experiment, arms: Sequence[MeasuredArm]) -> str:
    """Which arm the model is, and whether the report's words are of it; its own numbers where not."""
    names = " and ".join(code(arm.name) for arm in arms)
    this = (
        f"This model is the arm {names}" if len(arms) == 1 else f"This model is the arms {names}, all alike"
    )
    pick = experiment.pick
    if pick in arms:
        return f"{this}: {_THE_EDIT} below are its own."
    selected = named_units(experiment.layers)
    if pick is None:
        of = f"the recipe under test ({selected}), which was not measured"
    else:
        is_another = ", another model" if pick.result_sha256 is not None else ""
        of = f"the arm {code(pick.name)} ({selected}){is_another}"
    words = f"{this} ({named_units(arms[0].layers)}). {_OF_ANOTHER}{of}."
    return f"{words}\n\n{bullets([line for arm in arms for line in _own_numbers(arm, experiment)])}"


def _own_numbers(arm: MeasuredArm, experiment: Experiment) -> list[str]:
    """What the report tells of its pick in sentences, told of another arm, and what to know beside it."""
    share = numbers.are_shares(
        one.score for each in experiment.arms for one in (each.overall, *each.subjects)
    )
    whole, loss = arm.overall, arm.general
    scored = (
        f"{code(arm.name)}: {plain(experiment.metric.partition(',')[0])} {numbers.score(whole.score, share)}"
    )
    changed = "" if whole.delta is None else f", {numbers.amount(whole.delta, share)} against the base"
    tested = "" if whole.p is None else f", p {plain(numbers.p_value(whole.p))} before correction"
    verdict = "" if whole.verdict is None else f": **{plain(whole.verdict)}**"
    damage = "was not measured"
    if loss is not None and loss.delta is not None:
        p = "not tested" if loss.p is None else f"p {plain(numbers.p_value(loss.p))} before correction"
        damage = f"{numbers.nats(loss.delta)} nats a token, {p}"
    known = [f"evaluated otherwise than the base, {line}" for line in arm.mismatches]
    return [
        f"{scored} over all tasks{changed}{tested}{verdict}. Damage to general text: {damage}.",
        *(f"{code(arm.name)}: {plain(line)}" for line in (*known, *arm.notes)),
    ]


def _marked(block: str, arms: Sequence[MeasuredArm]) -> str:
    """A table of arms, or of single layers, with the model's rows marked; any other paragraph as it is."""
    if block.startswith("| arm |"):
        own = [arm.name for arm in arms]
    elif block.startswith("| layer |") and not block.startswith("| layer | edited |"):
        own = [format_layers(arm.layers) for arm in arms if arm.role == "layer"]
    else:
        return block
    for name in map(plain, own):
        row = re.compile(rf"^\| (?:{re.escape(name)}|\*\*{re.escape(name)}\*\*) \|", re.MULTILINE)
        marked = f"| **{name}** ({_THIS}) |".replace("\\", r"\\")  # a name's own backslashes
        block = row.sub(marked, block)
    return block
