"""How a trial was run: sizes, what stages took, how busy the machine was, what is missing."""

from collections.abc import Sequence

from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.numbers import duration
from trials.jobs import Timing
from trials.record import TrialRecord
from trials.report.arms import harms
from trials.report.layers import mean
from trials.report.read import DonorRun, Findings
from trials.report.words import counted
from trials.sizes import Sizes

_BUSY = 1.25
"""Processes a core from which on a machine counts as shared."""


def timings_grid(timings: Sequence[Timing]) -> Grid:
    """What every stage took."""
    stages = dict.fromkeys(one.stage for one in timings)
    rows = []
    for stage in stages:
        own = [one for one in timings if one.stage == stage]
        wall, cpu = sum(one.seconds for one in own), sum(one.cpu_seconds for one in own)
        load = mean([one.load for one in own])
        rows.append(
            (
                Cell(stage, stage),
                Cell(str(len(own)), len(own)),
                Cell(duration(cpu), cpu),
                Cell(duration(wall), wall),
                Cell(f"{load:.1f}", load),
            )
        )
    header = ("stage", "commands", "processor time", "time on the wall", "load")
    return Grid(header, tuple(rows), frozenset(("stage",)))


def machine_sentence(timings: Sequence[Timing], record: TrialRecord) -> str:
    """On which device, of how many cores, and whether others used them too."""
    if not timings:
        return ""
    cores, load = timings[-1].cores, mean([one.load for one in timings])
    minutes = sum(one.cpu_seconds for one in timings) / 60
    where = "" if record.device == "cpu" else f"{record.device}, beside "
    text = f"{where}{cores} cores; {minutes:.0f} minutes of processor time in all."
    if load > _BUSY * cores:
        return (
            f"{text} The machine was shared: {load:.1f} processes wanted its cores in the mean, so times on "
            "the wall say little; processor times say what a stage costs."
        )
    return f"{text} {load:.1f} processes wanted its cores in the mean, the trial's own among them."


def missing_sentence(findings: Findings) -> str:
    """What of the trial does not stand yet; empty where nothing is missing."""
    parts = []
    for what, runs in (
        ("attribution", [run for run in findings.runs if run.attribution is None]),
        ("experiment", [run for run in findings.runs if run.experiment is None]),
        ("tuned edit", [run for run in findings.runs if run.tune is None]),
    ):
        if runs:
            parts.append(f"no {what} of {', '.join(str(run.donor) for run in runs)}")
    stand = {
        "attribute": sum(run.attribution is not None for run in findings.runs),
        "experiment": sum(run.experiment is not None for run in findings.runs),
        "tune": sum(run.tune is not None for run in findings.runs),
    }
    ended = {stage: len({t.name for t in findings.timings if t.stage == stage}) for stage in stand}
    untimed = sum(max(0, count - ended[stage]) for stage, count in stand.items())
    unfinished = [run for run in findings.runs if run.experiment is not None and run.experiment.missing]
    parts += [
        f"{counted(len(run.experiment.missing), 'arm')} of {run.donor}"
        for run in unfinished
        if run.experiment
    ]
    told = f"Not done: {'; '.join(parts)}." if parts else ""
    if untimed:
        told += f" For {counted(untimed, 'command')} no time is given."
    return told.strip()


def flat_sentence(runs: Sequence[DonorRun]) -> str:
    """Whose arms are not held against a curve; empty where all are."""
    flat = [str(run.donor) for run in runs if not harms(run)]
    if not flat:
        return ""
    return (
        f" Not so for {', '.join(flat)}: all layers at weight 1 are not shown to harm prose there, so that "
        "a smaller weight, or fewer layers, buys no less damage."
    )


def sizes_grid(sizes: Sizes) -> Grid:
    """Every number that trades time for sharpness."""
    docs = {name: field.description or "" for name, field in Sizes.model_fields.items()}
    rows = []
    for name, value in sizes.model_dump().items():
        shown = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
        rows.append((Cell(name, name), Cell(shown), Cell(docs[name])))
    return Grid(("size", "value", "what"), tuple(rows), frozenset(("size", "what")))
