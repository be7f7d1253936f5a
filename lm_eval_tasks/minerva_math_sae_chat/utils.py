"""Prompt and scoring of ``minerva_math_sae_chat``, for models that answer in turns.

Ours, not the paper's: the wording of the prompt, and where ``exact_match`` looks for the
answer. Gold answers, normalisation, equivalence and ``math_verify`` are lm-eval's functions.
"""

import re
from collections.abc import Iterator
from typing import Any

from lm_eval.tasks.minerva_math import utils as minerva

INSTRUCTION = "Reason step by step, and put your final answer within \\boxed{}."

# What lm-eval extracts from a text without an answer: asked of it, so that it stays its word.
_NO_ANSWER = minerva.get_unnormalized_answer("")

_MARK = re.compile(r"\\{1,2}(boxed|fbox)(?![A-Za-z])(\s*\{)?|\\.|\$\$?|[{}]", re.DOTALL)
"""A box, its backslash doubled or not, and whether it has braces; what is escaped; bounds of formulas; other
braces."""
_REST_OF_LINE = re.compile(r"([^\\$\n]*(?:\\[^)\]\n][^\\$\n]*)*)(\s*(?:\$|\\[)\]]))?")
"""What stands before the line or formula ends, then the formula's end. Nothing in here is looked at twice."""
_NUMBER = re.compile(r"[^\S\n]*(-?\d+(?:[.,]\d+)*)")


def doc_to_text(doc: dict[str, Any]) -> str:
    """The problem as it stands, then what to do with it: the shape these models are trained on."""
    return f"{doc['problem']}\n\n{INSTRUCTION}"


def said(text: str) -> str:
    """What a generation says once it has thought: nothing yet where a thought is still open."""
    return text.rpartition("</think>")[2].partition("<think>")[0].strip()


def final_answer(text: str) -> str | None:
    r"""The answer a generation commits to, unnormalised: its last box, else its Minerva line.

    The last box, since a solution may box steps on its way; one that is empty, or that was cut off, is none.
    A frame (``\fbox``) is one where there is no box, as in lm-eval. None where there is nothing of it.
    """
    for _, start, end in sorted(_boxes(text), reverse=True):
        if held := text[start:end].strip():
            return held
    answer = minerva.get_unnormalized_answer(text)
    # A line with a box was looked at: it holds nothing.
    return answer if answer not in ("", _NO_ANSWER) and "\\boxed" not in answer else None


def _boxes(text: str) -> Iterator[tuple[bool, int, int]]:
    """Of each box, whether it is one or a frame, and where what it holds starts and ends.

    Without braces, that is the rest of its formula, where that ends with the line; outside one, where the
    command may be a word about boxes, a number alone.
    """
    opened: list[re.Match[str]] = []
    dollars = brackets = False
    rest = None
    for mark in _MARK.finditer(text):
        if mark[0] == "{" or mark[2]:
            opened.append(mark)
        elif mark[1]:
            # Of boxes in one line the end is looked for once: a model that repeats itself writes thousands.
            if rest is None or rest.end(1) < mark.end():
                rest = _REST_OF_LINE.match(text, mark.end())
            if rest and rest[2] and (dollars or brackets):
                yield mark[1] == "boxed", mark.end(), rest.end(1)
            elif number := _NUMBER.match(text, mark.end()):
                yield mark[1] == "boxed", *number.span(1)
        elif mark[0] == "}" and opened:
            box = opened.pop()
            if box[1]:
                yield box[1] == "boxed", box.end(), mark.start()
        elif mark[0] in ("$", "$$"):
            dollars = not dollars
        elif mark[0] in ("\\(", "\\[", "\\)", "\\]"):
            brackets = mark[0] in ("\\(", "\\[")


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Score one generation, or what stands behind its thoughts.

    Args:
        doc: A document from lm-eval's ``process_docs``.
        results: The generation, as a list of one.

    Returns:
        ``math_verify`` as lm-eval's ``minerva_math`` scores it; ``exact_match`` of
        :func:`final_answer` by lm-eval's equivalence; ``answer_found``: 1 if there was one.
    """
    text = said(results[0])
    answer = final_answer(text)
    right = answer is not None and minerva.is_equiv(minerva.normalize_final_answer(answer), doc["answer"])
    return {
        "math_verify": minerva.process_results(doc, [text])["math_verify"],
        "exact_match": int(right),
        "answer_found": int(answer is not None),
    }
