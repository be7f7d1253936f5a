"""What a search will cost, said before it begins: in edits, in passes of the model, in tokens."""

from collections.abc import Mapping
from typing import NamedTuple

from sae_merge_method.reports.numbers import duration
from sae_merge_method.tune.attribution import slopes_needed
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.families import FAMILIES, sizes_of
from sae_merge_method.tune.search import POINT_WEIGHTS
from sae_merge_method.tune.settings import TuneSettings
from sae_merge_method.tune.splits import CHOICE, REPORT, SEARCH, Split

_AS_FORWARD = 3
"""Tokens forward and backward take as long as so many forward."""
_TRIES = 3
"""Sizes of a shape that are mostly tried until its damage is as large as allowed, or its gain as the
winner's."""


class Cost(NamedTuple):
    """What a search is expected to take."""

    words: str
    """A few sentences: how the texts are divided, and about how much is computed."""
    seconds: float | None
    """Of passes over texts at this model's pace; None where that is not known, or problems are answered
    beside."""


def cost_of(
    asked: TuneSettings, splits: Mapping[str, Split], panel: Panel, seconds: float | None = None
) -> Cost:
    """About how much is computed.

    Args:
        asked: What is searched.
        splits: By name.
        panel: To measure by.
        seconds: What the base took on the search part; None where that is not known.
    """
    bench = panel.bench
    n_donors = bench.n_donors
    n_sizes = len(asked.sizes or sizes_of(bench.n_layers))
    shapes = sum(FAMILIES[name].n_shapes(n_donors, n_sizes) for name in asked.families)
    edits = _TRIES * shapes + n_donors + 1
    on_choice = asked.finalists + 1 + 3 * _TRIES
    on_report = 4 + n_donors + asked.shuffles + 2 + _TRIES
    own = 0 if asked.attribution else slopes_needed(bench.n_groups)
    slopes = own + asked.steps * sum(FAMILIES[name].is_measured for name in asked.families)
    per_step = asked.tokens_per_step * (1 + len(asked.control))
    tokens = {
        name: sum(len(one.ids) for side in part.sides for one in side.documents)
        for name, part in splits.items()
    }
    forward = edits * tokens[SEARCH] + on_choice * tokens[CHOICE] + on_report * tokens[REPORT]
    problems = ", ".join(f"{len(splits[name].target.documents)} to {verb}" for name, verb in _FOR.items())
    texts = ", ".join(
        f"{sum(len(side.documents) for side in splits[name].controls)} to {verb}"
        for name, verb in _FOR.items()
    )
    lines = [
        f"problems: {problems}; control texts: {texts}. About {edits} edits on the search part, {on_choice} "
        f"on the choice part and {on_report} on the report part, {forward:,} tokens forward; {slopes} "
        f"slopes, {slopes * per_step:,} tokens forward and backward."
    ]
    if seconds is not None:
        passes = forward + _AS_FORWARD * slopes * per_step
        seconds *= passes / max(1, tokens[SEARCH])
        lines.append(f"At this model's pace, some {duration(seconds)}.")
    if panel.task is not None:
        sizes_of_task = panel.task.sizes
        answered = (asked.finalists + 1) * sizes_of_task[CHOICE] + on_report * sizes_of_task[REPORT]
        lines.append(
            f"{panel.task.name}: {sizes_of_task[CHOICE]} problems to choose on, {sizes_of_task[REPORT]} to "
            f"report on; some {answered:,} answers."
        )
    if panel.guard is not None:
        of_guard = panel.guard.sizes
        tries = len(POINT_WEIGHTS) if asked.budget.nats is None else 0
        answered = (asked.finalists + 1 + tries) * of_guard[CHOICE] + 2 * of_guard[REPORT]
        lines.append(
            f"{panel.guard.name}: {of_guard[CHOICE]} problems to choose on, {of_guard[REPORT]} to report on; "
            f"some {answered:,} answers."
        )
    only_texts = panel.task is None and panel.guard is None
    return Cost(" ".join(lines), seconds if only_texts else None)


_FOR = {SEARCH: "search on", CHOICE: "choose on", REPORT: "report on"}
