"""What ``sae-merge experiment plan`` prints: the arms, what each claim can reach, what it takes."""

from collections.abc import Iterator
from math import ceil

from sae_merge_method.experiment.forecast import Forecast
from sae_merge_method.experiment.needs import Needs
from sae_merge_method.experiment.prospect import WORST_SD, Prospect, TaskAhead
from sae_merge_method.experiment.report.claims import CLAIMS
from sae_merge_method.experiment.report.reach import Family, Reach, family
from sae_merge_method.experiment.report.tables import wrapped
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.grid import UNDER_HEADER, as_text, plain_grid
from sae_merge_method.reports.numbers import amount, byte_size, energy, p_value
from sae_merge_method.statistics.power import POWER, detectable, problems_needed

CORRELATION = 0.6
"""Of two arms' answers to the same problems, assumed: edits of one base have .5 to .85."""
DIFFERENCES = (0.02, 0.05)
"""Gains whose cost in problems is told."""
TOKENS_A_SECOND = 1000
"""An assumed speed of generation, to be scaled to one's own."""
PROBLEMS_A_SECOND = 10
"""The same, of problems whose answers are not generated but found more or less likely."""
ENOUGH_PASSAGES = 300
"""Of general text: on real models edits that did .005 to .02 nats a token of damage were told apart by so
many."""
_WIDE = 90
"""Characters of a description in a table."""
Ahead = Prospect | Forecast


def plan_table(prospect: Ahead) -> str:
    """The arms of a plan, and all that is known before they are run; a final newline."""
    blocks = _forecast(prospect) if isinstance(prospect, Forecast) else _planned(prospect)
    return "\n\n".join(blocks) + "\n"


def _forecast(ahead: Forecast) -> Iterator[str]:
    rows = [
        (row.kind, str(len(row.names)), row.what if len(row.what) <= _WIDE else f"{row.what[: _WIDE - 3]}...")
        for row in ahead.rows
    ]
    header = ("arm", "how many", "what it is for")
    grid = plain_grid(header, rows, words=("arm", "what it is for"))
    yield as_text(grid._replace(ruled=UNDER_HEADER))
    yield wrapped(
        f"Which of the {ahead.n_layers} layers {ahead.select} takes, what each arm injects, and how small a "
        "p each claim can reach, is known once models and diagnosis are there: plan --diagnose fetches and "
        "makes them, and so does run.",
        "",
    )
    told = sum(bool(claim.arms) and not claim.lacks(ahead.arms) for claim in CLAIMS.values())
    yield from _problems(ahead, Family(told, ahead.alpha))
    yield from _passages(ahead)
    yield from _takes(ahead.needs)
    yield _cost(ahead)
    yield from _disk(ahead)


def _planned(prospect: Prospect) -> Iterator[str]:
    reaches = {
        claim.text: Reach(None, f"takes {', '.join(lacks)}")
        if (lacks := claim.lacks(prospect.arms))
        else claim.reach(prospect)
        for claim in CLAIMS.values()
    }
    together = family(reaches.values(), prospect.plan.alpha)
    yield _arms(prospect)
    yield from _claims(reaches, together)
    yield from _problems(prospect, together)
    yield from _passages(prospect)
    if prospect.needs is not None:
        yield from _takes(prospect.needs)
    yield _cost(prospect)
    yield from _disk(prospect)


def _arms(prospect: Prospect) -> str:
    rows = [
        (
            arm.name,
            "done" if arm.name in prospect.done else "to do",
            "?" if arm.planned_energy is None else energy(arm.planned_energy),
            "?" if arm.planned_realised is None else energy(arm.planned_realised.energy),
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
        "and its cosine with what is to be added; matched: that an arm has another one's in what is stored "
        "(realised), in what is to be added (intended, under stochastic rounding), or as float32."
    )
    return as_text(grid._replace(ruled=UNDER_HEADER)) + "\n\n" + wrapped(note, "")


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


def _problems(prospect: Ahead, together: Family) -> Iterator[str]:
    alpha, tasks = prospect.alpha, prospect.tasks
    if not tasks:
        costs = " and ".join(
            f"{problems_needed(size, WORST_SD, CORRELATION, alpha):,} for {amount(size, share=True)}"
            for size in DIFFERENCES
        )
        yield wrapped(f"How many problems there are is not known: {prospect.reason}", "")
        yield wrapped(
            f"To find a gain with a chance of {POWER:.0%} takes so many: {costs}, paired by problem, for "
            f"half of the answers right and answers that correlate at {CORRELATION:g} (assumed).",
            "",
        )
        return
    total = prospect.problems
    spread = (sum(task.problems * task.sd**2 for task in tasks) / total) ** 0.5
    whole = TaskAhead("all tasks", total, spread, 0)
    rows = [_row(task, alpha, alpha / len(tasks)) for task in tasks] if len(tasks) > 1 else []
    rows.append(_row(whole, alpha, alpha / max(1, together.size)))
    needed = tuple(f"for {amount(difference, share=True)}" for difference in DIFFERENCES)
    header = ("task", "problems", "detectable", "with Holm", *needed)
    grid = plain_grid(header, rows, words=("task",))._replace(ruled=frozenset((0, len(rows) - 1)))
    known = "the base's own scores" if prospect.arms[0] in prospect.done else "half of the answers right"
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


def _passages(prospect: Ahead) -> Iterator[str]:
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


def _takes(needs: Needs) -> Iterator[str]:
    rows = [
        (
            item.what,
            item.name,
            "?" if item.size is None else byte_size(item.size),
            "?" if item.missing is None else byte_size(item.missing) if item.missing else "-",
            item.source,
        )
        for item in needs.items
    ]
    header = ("what", "name", "size", "to fetch", "known by")
    grid = plain_grid(header, rows, words=("what", "name", "known by"))
    fetched = (
        "" if needs.missing is None else f"\nTo fetch: {byte_size(needs.missing)}, data sets not counted."
    )
    unasked = "".join(f"\n- {item.unasked}" for item in needs.items if item.unasked is not None)
    yield as_text(grid._replace(ruled=UNDER_HEADER)) + fetched + (unasked and f"\nNot asked:{unasked}")
    if needs.evaluation is not None:
        words = (
            f"GPU memory: {byte_size(needs.evaluation)} of weights while an arm is evaluated, and its batches"
        )
        if needs.diagnosis is not None:
            least, most = map(byte_size, needs.diagnosis)
            words += (
                f"; {least} while the diagnosis is made, {most} with the encoders of all layers at once, "
                "which saves passes over the texts"
            )
        yield wrapped(f"{words}.", "")


def _cost(prospect: Ahead) -> str:
    arms, todo = len(prospect.arms), len(set(prospect.arms) - prospect.done)
    words = f"{arms} arms, {todo} of them to do"
    if prospect.minutes is not None:
        spent = f"{prospect.minutes:.1f} minutes of lm-eval an arm, as in those that are done"
        return wrapped(f"{words}: {todo * prospect.minutes:.0f} minutes in one worker ({spent}).", "")
    tokens = sum(task.problems * task.tokens for task in prospect.tasks)
    likely = sum(task.problems for task in prospect.tasks if not task.tokens)
    if not (tokens or likely):
        return wrapped(f"{words}; how long one takes is known when the first is done.", "")
    each = (tokens / TOKENS_A_SECOND + likely / PROBLEMS_A_SECOND) / 60
    work = [f"at most {tokens:,} tokens to generate an arm"] if tokens else []
    speed = [f"{TOKENS_A_SECOND:,} tokens"] if tokens else []
    if likely:
        work.append(f"{likely:,} problems an arm whose answers are found more or less likely")
        speed.append(f"{PROBLEMS_A_SECOND} such problems")
    return wrapped(
        f"{words}: {' and '.join(work)}. At {' or '.join(speed)} a second (assumed) that is {ceil(each)} "
        f"minutes an arm and {ceil(todo * each):,} in one worker"
        f"{', if no answer ends early' if tokens else ''}; when the first arm is done, plan says how long it "
        "took.",
        "",
    )


def _disk(prospect: Ahead) -> Iterator[str]:
    if prospect.checkpoint is not None:
        each, kept = prospect.checkpoint, (len(prospect.arms) - 1) * prospect.checkpoint
        words = (
            f"results alone, as arms are edited in memory; one that cannot be is merged, {byte_size(each)}"
            if prospect.merged is None
            else f"{byte_size(each)} a worker, for the one merged checkpoint that it has at a time"
        )
        yield wrapped(f"Disk: {words}; {byte_size(kept)} with --keep.", "")
