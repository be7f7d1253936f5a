"""The problems whose answer flipped, question, target and both answers side by side, for a terminal."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.lm_eval_samples import Samples, read_sample
from sae_merge_method.compare.answers import pair
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.escape import terminal, terminal_line

# Where benchmarks keep what they ask; a document with none of these is shown whole.
_QUESTION_KEYS = ("problem", "question", "query", "prompt", "input", "text")
_GAP = " | "


def render_flips(comparison: Comparison, base: Evaluation, edited: Evaluation, most: int, width: int) -> str:
    """Up to ``most`` newly right and as many newly wrong problems of each task, in the file's order.

    Args:
        comparison: Of the two.
        base: Before the edit.
        edited: After it.
        most: How many to show of each kind.
        width: Columns of the terminal.

    Raises:
        ArtifactError: A samples file is damaged.
    """
    blocks = [f"{terminal_line(base.label)} > {terminal_line(edited.label)}\n"]
    for subject in comparison.subjects:
        sides = [side.samples(subject.task, comparison.metric) for side in (base, edited)]
        blocks.append(_of_task(subject.task, sides[0], sides[1], most, width))
    return "\n".join(blocks)


def _of_task(task: str, base: Samples, edited: Samples, most: int, width: int) -> str:
    task = terminal_line(task)
    if not base.rows or not edited.rows:
        reason = base.reason or edited.reason
        return f"{task}: no flips to show, {reason}\n"
    pairs = pair(base, edited).pairs
    blocks = []
    for kind, change in (("newly right", 1.0), ("newly wrong", -1.0)):
        flipped = [both for both in pairs if both.edited.score - both.base.score == change]
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
    """Lines no wider than ``width``, the text's own line breaks kept; other people's text, so made safe."""
    lines = text.strip().expandtabs().splitlines() or [""]
    return [piece for line in lines for piece in (textwrap.wrap(terminal(line), width) or [""])]
