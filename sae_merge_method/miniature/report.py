"""The demo's one table, as text, Markdown and JSON, and what it shows and does not, in plain words."""

from dataclasses import asdict, dataclass

from sae_merge_method.files import canonical_json
from sae_merge_method.layers import format_layers
from sae_merge_method.miniature.arms import Arm
from sae_merge_method.miniature.checkpoints import Kept
from sae_merge_method.miniature.evaluation import Accuracy, Difference

SIGNIFICANT = 1.96
"""Two-sided z at the 5 % level."""


@dataclass(frozen=True)
class Row:
    """One arm's results."""

    arm: Arm
    layers: tuple[int, ...]
    accuracy: Accuracy
    difference: Difference | None
    """From the base; None for the base itself."""
    general_loss: float
    """Nats a token on general text."""
    energy: float
    """Sum of squares of what was added to the base."""
    energy_share: float
    """The same over the whole task vector's."""
    kept: Kept | None


@dataclass(frozen=True)
class Report:
    """Everything a demo found out."""

    rows: tuple[Row, ...]
    seconds: dict[str, float]
    """Wall time by stage."""
    notes: tuple[str, ...]
    """How this run came about, such as what was taken from the cache."""


_OF_A_MINIATURE = (
    "One miniature and one seed: this shows that the software works end to end, and is no evidence "
    "about models of real size. This base can calculate but has read careless solutions, the donor "
    "careful ones: the edit draws out what the base knows and adds no knowledge."
)

_HEADER = ("arm", "layers", "accuracy", "delta", "z", "p", "general loss", "energy", "share")


def as_table(report: Report) -> str:
    """Aligned text for a terminal."""
    cells = [_HEADER, *(_cells(row) for row in report.rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    lines = ["  ".join(_align(line, widths)).rstrip() for line in cells]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]]) + "\n"


def as_markdown(report: Report) -> str:
    """The table, the words and the seconds, for a reader."""
    lines = [_HEADER, ("---", "---", *("---:",) * (len(_HEADER) - 2)), *(_cells(r) for r in report.rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    arms = "\n".join(f"- `{row.arm.name}`: {row.arm.says}" for row in report.rows)
    words = "\n".join(f"- {sentence}" for sentence in conclusions(report))
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in report.seconds.items())
    notes = "".join(f"\n{note}\n" for note in report.notes)
    return f"# The miniature\n\n{table}\n\n{arms}\n\n{words}\n\nWall time: {stages}.\n{notes}"


def as_json(report: Report) -> str:
    """Every number, unrounded."""
    return canonical_json({**asdict(report), "conclusions": conclusions(report)})


def conclusions(report: Report) -> list[str]:
    """What the numbers show and what they do not, whoever they please."""
    words = [_verdict(row) for row in report.rows if row.arm.edit in ("raw", "projected")]
    projected = next((row for row in report.rows if row.kept), None)
    if projected and projected.kept:
        kept = projected.kept
        words.append(
            f"The projection keeps {kept.share:.1%} of the task vector's energy in its layers; a random "
            f"subspace of the same rank keeps about {kept.chance:.1%}. Such a loss says nothing about "
            "the features: any subspace so small throws nearly everything away."
        )
    words += _selected_against_random(report)
    return [*words, _OF_A_MINIATURE]


def _verdict(row: Row) -> str:
    change = row.difference
    if change is None or change.z is None:
        return f"{row.arm.name}: no test is possible, neither side varies."
    if abs(change.z) <= SIGNIFICANT:
        said = "not significantly different from the base"
    else:
        said = f"significantly {'better' if change.z > 0 else 'worse'} than the base"
    return f"{row.arm.name} ({row.arm.says}): {said} (z {change.z:+.2f})."


def _selected_against_random(report: Report) -> list[str]:
    accuracies = {row.arm.name: row.accuracy.value for row in report.rows}
    if not {"stethoscope", "random"} <= accuracies.keys():
        return []
    return [
        "This does not show that the diagnosis picks better layers than chance: stethoscope "
        f"{accuracies['stethoscope']:.1%}, one random set of layers {accuracies['random']:.1%}. That "
        "question needs many random sets, depth-matched and energy-matched ones, and several seeds."
    ]


def _cells(row: Row) -> tuple[str, ...]:
    change = row.difference
    return (
        row.arm.name,
        format_layers(row.layers) or "none",
        f"{row.accuracy.value:.1%}",
        f"{change.delta:+.1%}" if change else "",
        f"{change.z:+.2f}" if change and change.z is not None else "",
        _p(change.p) if change and change.p is not None else "",
        f"{row.general_loss:.3f}",
        f"{row.energy:.3g}",
        f"{row.energy_share:.1%}",
    )


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"


def _align(line: tuple[str, ...], widths: list[int]) -> list[str]:
    words = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
    return words + [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
