"""Scoring of ``minerva_math_sae``: lm-eval's own, and whether there was an answer to score.

Prompts, few-shot examples and gold answers are lm-eval's functions, named in the YAML.
"""

from typing import Any

from lm_eval.tasks.minerva_math import utils as minerva

# What lm-eval extracts from a text without an answer: asked of it, so that it stays its word.
_NO_ANSWER = minerva.get_unnormalized_answer("")


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Score one generation.

    Args:
        doc: A document from lm-eval's ``process_docs``.
        results: The generation, as a list of one.

    Returns:
        ``exact_match`` and ``math_verify`` as lm-eval's ``minerva_math`` scores them, and
        ``answer_found``: 1 if ``exact_match`` had a final answer to look at, right or wrong.
    """
    scores: dict[str, int] = minerva.process_results(doc, results)
    answer = minerva.get_unnormalized_answer(results[0])
    return {**scores, "answer_found": int(answer not in ("", _NO_ANSWER))}
