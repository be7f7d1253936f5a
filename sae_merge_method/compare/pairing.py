"""The same problems before and after: matched one by one, and those whose answer flipped."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from sae_merge_method.artifacts.lm_eval_samples import Sample, Samples, read_sample


class Pair(NamedTuple):
    """One problem, answered by both."""

    base: Sample
    edited: Sample


class Pairing(NamedTuple):
    """Problems that both were given, in the base's order, and what differs between the two sets."""

    pairs: tuple[Pair, ...]
    mismatches: tuple[str, ...]


def pair(base: Samples, edited: Samples) -> Pairing:
    """Pair two sides by the hash of the problem; equal problems by their order.

    Where one side has no samples there are no pairs, and no mismatch either.
    """
    if not base.rows or not edited.rows:
        return Pairing((), ())
    ours, theirs = _by_problem(base.rows), _by_problem(edited.rows)
    pairs = tuple(Pair(ours[key], theirs[key]) for key in ours if key in theirs)
    lines = []
    if alone := len(ours) + len(theirs) - 2 * len(pairs):
        lines.append(f"{alone} problems were answered on one side only")
    for what in ("prompt", "target"):
        field = f"{what}_hash"
        differing = sum(getattr(one, field) != getattr(other, field) for one, other in pairs)
        if differing:
            lines.append(f"{differing} problems have another {what} on the other side")
    return Pairing(pairs, tuple(lines))


def _by_problem(rows: Iterable[Sample]) -> dict[tuple[str, int], Sample]:
    seen: Counter[str] = Counter()
    found = {}
    for row in rows:
        found[row.doc_hash, seen[row.doc_hash]] = row
        seen[row.doc_hash] += 1
    return found


# Where benchmarks keep what they ask; a document with none of these is shown whole.
_QUESTION_KEYS = ("problem", "question", "query", "prompt", "input", "text")
_GAP = " | "


def render_flips(task: str, base: Samples, edited: Samples, most: int, width: int) -> str:
    """Up to ``most`` newly right and as many newly wrong problems of a task, in the file's order.

    Args:
        task: Its name.
        base: Answers before the edit.
        edited: Answers after it.
        most: How many to show of each kind.
        width: Columns of the terminal.
    """
    if not base.rows or not edited.rows:
        reason = base.reason or edited.reason
        return f"{task}: no flips to show, {reason}\n"
    blocks = []
    for kind, change in (("newly right", 1.0), ("newly wrong", -1.0)):
        flipped = [both for both in pair(base, edited).pairs if both.edited.score - both.base.score == change]
        blocks.append(f"== {task}: {len(flipped)} {kind}, {min(most, len(flipped))} shown")
        for both in flipped[:most]:
            sides = (read_sample(base, both.base), read_sample(edited, both.edited))
            blocks.append("\n".join(_problem(sides, width)))
    return "\n\n".join(blocks) + "\n"


def _problem(sides: Sequence[dict[str, Any]], width: int) -> Iterator[str]:
    """One problem: the question, the target, and two columns of answers."""
    document = sides[0].get("doc") or {}
    question = next((str(document[key]) for key in _QUESTION_KEYS if document.get(key)), str(document))
    yield from _wrapped(f"-- problem {sides[0].get('doc_id')}: {question}", width)
    yield from _wrapped(f"target: {sides[0].get('target')}", width)
    column = max(20, (width - len(_GAP)) // 2)
    answers = [
        [name, *_wrapped(_answer(raw), column)] for name, raw in zip(("base:", "edited:"), sides, strict=True)
    ]
    for left, right in zip_longest(*answers, fillvalue=""):
        yield f"{left:<{column}}{_GAP}{right}".rstrip()


def _answer(raw: dict[str, Any]) -> str:
    answer: Any = raw.get("resps")
    while isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    return str(answer)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines no wider than ``width``, the text's own line breaks kept."""
    lines = text.strip().splitlines() or [""]
    return [piece for line in lines for piece in (textwrap.wrap(line, width) or [""])]
