"""What ``sae-merge experiment plan`` prints: the arms, what each claim can reach, what it takes."""

from collections.abc import Iterator
from math import ceil

from sae_merge_method.experiment.prospect import Prospect, TaskAhead
from sae_merge_method.experiment.report.claims import CLAIMS
from sae_merge_method.experiment.report.reach import Family, Reach, family
from sae_merge_method.experiment.report.tables import wrapped
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.grid import as_text, plain_grid
from sae_merge_method.reports.numbers import amount, byte_size, p_value
from sae_merge_method.statistics.power import POWER, detectable, problems_needed

CORRELATION = 0.6
"""Of two arms' answers to the same problems, assumed: edits of one base have .5 to .85."""
DIFFERENCES = (0.02, 0.05)
"""Gains whose cost in problems is told."""
TOKENS_A_SECOND = 1000
"""An assumed speed of generation, to be scaled to one's own."""
ENOUGH_PASSAGES = 300
"""Of general text: on real models edits that did .005 to .02 nats a token of damage were told apart by so
many."""
_UNDER_HEADER = frozenset((0,))


def plan_table(prospect: Prospect) -> str:
    """The arms of a plan, and all that is known before they are run; a final newline."""
    reaches = {
        claim.text: Reach(None, f"takes {', '.join(lacks)}")
        if (lacks := claim.lacks(prospect.arms))
        else claim.reach(prospect)
        for claim in CLAIMS.values()
    }
    together = family(reaches.values(), prospect.plan.alpha)
    blocks = [
        _arms(prospect),
        *_claims(reaches, together),
        *_problems(prospect, together),
        *_passages(prospect),
        _cost(prospect),
        *_disk(prospect),
    ]
    return "\n\n".join(blocks) + "\n"


def _arms(prospect: Prospect) -> str:
    rows = [
        (
            arm.name,
            "done" if arm.name in prospect.done else "to do",
            "?" if arm.planned_energy is None else f"{arm.planned_energy:.6g}",
            "?" if arm.planned_realised is None else f"{arm.planned_realised.energy:.6g}",
            f"{arm.planned_realised.cosine:.2f}"
            if arm.planned_realised and arm.planned_realised.cosine
            else "-",
            arm.matched or "-",
            format_layers(arm.layers),
        )
        for arm in prospect.plan.arms
    ]
    header = ("arm", "state", "energy", "stored", "cosine", "matched", "layers")
    grid = plain_grid(header, rows, words=("arm", "state", "matched", "layers"))
    note = (
        "stored: energy that rounding to the dtype is expected to leave, from a sample of each tensor, "
        "and its cosine with what is to be added; matched: how an arm that is to have another one's gets it."
    )
    return as_text(grid._replace(ruled=_UNDER_HEADER)) + "\n\n" + wrapped(note, "")


def _claims(reaches: dict[str, Reach], together: Family) -> Iterator[str]:
    told = {text: reach for text, reach in reaches.items() if reach.least_p is not None}
    if told:
        head = (
            "What each claim can reach with these arms: the smallest p, and the same after Holm's correction "
            f"for {together.size} claims where no other has a smaller one; level {together.alpha:g}:"
        )
        lines = [f"- {text}: {_reached(reach, together)}; {reach.words}" for text, reach in told.items()]
        yield "\n".join([wrapped(head, ""), *(wrapped(line, "  ") for line in lines)])
    untold = [f"- {text}: {reach.words}" for text, reach in reaches.items() if reach.least_p is None]
    if untold:
        lines = [wrapped(line, "  ") for line in untold]
        yield "\n".join(["Claims that these arms cannot tell:", *lines])


def _reached(reach: Reach, together: Family) -> str:
    least = reach.least_p or 0.0
    words = f"p down to {p_value(least)}, Holm {p_value(together.at_worst(least))}"
    needed = together.smaller_needed(least)
    if needed is None:
        return f"{words}: NEVER SIGNIFICANT"
    return f"{words}: significant only if {needed} others have a smaller p" if needed else words


def _problems(prospect: Prospect, together: Family) -> Iterator[str]:
    plan, tasks = prospect.plan, prospect.tasks
    if not tasks:
        yield wrapped(f"How many problems there are is not known: {prospect.reason}", "")
        return
    total = prospect.problems
    spread = (sum(task.problems * task.sd**2 for task in tasks) / total) ** 0.5
    whole = TaskAhead("all tasks", total, spread, 0)
    rows = [_row(task, plan.alpha, plan.alpha / len(tasks)) for task in tasks] if len(tasks) > 1 else []
    rows.append(_row(whole, plan.alpha, plan.alpha / max(1, together.size)))
    needed = tuple(f"for {amount(difference, share=True)}" for difference in DIFFERENCES)
    header = ("task", "problems", "detectable", "with Holm", *needed)
    grid = plain_grid(header, rows, words=("task",))._replace(ruled=frozenset((0, len(rows) - 1)))
    known = "the base's own scores" if plan.arms[0].name in prospect.done else "half of the answers right"
    note = (
        f"detectable: the true difference between two arms that is found with a chance of {POWER:.0%}; with "
        "Holm: the same, corrected for all subjects, or claims, at worst; for +2.0 points and the like: the "
        f"problems that finding such a gain takes. Paired by problem, for {known} and answers of two arms "
        f"that correlate at {CORRELATION:g} (assumed)."
    )
    yield as_text(grid) + "\n" + wrapped(note, "")


def _row(task: TaskAhead, alpha: float, corrected: float) -> tuple[str, ...]:
    sizes = (detectable(task.sd, CORRELATION, task.problems, level) for level in (alpha, corrected))
    needed = (problems_needed(difference, task.sd, CORRELATION, alpha) for difference in DIFFERENCES)
    return (
        task.name,
        f"{task.problems:,}",
        *("none" if size is None else amount(size, share=True) for size in sizes),
        *(f"{count:,}" for count in needed),
    )


def _passages(prospect: Prospect) -> Iterator[str]:
    if prospect.documents >= ENOUGH_PASSAGES:
        return
    have = (
        f"Damage is measured on {prospect.documents:,} passages"
        if prospect.documents
        else "Damage is not measured"
    )
    yield wrapped(
        f"{have}: to tell that of small edits from none, and from that of all layers damped, takes some "
        f"{ENOUGH_PASSAGES} (general_loss).",
        "",
    )


def _cost(prospect: Prospect) -> str:
    arms, todo = len(prospect.arms), len(set(prospect.arms) - prospect.done)
    words = f"{arms} arms, {todo} of them to do"
    if prospect.minutes is not None:
        spent = f"{prospect.minutes:.1f} minutes of lm-eval an arm, as in those that are done"
        return wrapped(f"{words}: {todo * prospect.minutes:.0f} minutes in one worker ({spent}).", "")
    tokens = sum(task.problems * task.tokens for task in prospect.tasks)
    if not tokens:
        return wrapped(f"{words}; how long one takes is known when the first is done.", "")
    each = tokens / TOKENS_A_SECOND / 60
    return wrapped(
        f"{words}: at most {tokens:,} tokens to generate an arm. At {TOKENS_A_SECOND:,} tokens a second that "
        f"is {ceil(each)} minutes an arm and {ceil(todo * each):,} in one worker, if no answer ends early; "
        "when the first arm is done, plan says how long it took.",
        "",
    )


def _disk(prospect: Prospect) -> Iterator[str]:
    if prospect.checkpoint is not None:
        each, kept = prospect.checkpoint, (len(prospect.arms) - 1) * prospect.checkpoint
        yield wrapped(
            f"Disk: {byte_size(each)} a worker, for the one merged checkpoint that it has at a time; "
            f"{byte_size(kept)} with --keep.",
            "",
        )
