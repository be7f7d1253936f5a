"""Prompt and scoring of ``minerva_math_sae_chat``, for models that answer in turns.

Ours, not the paper's: the wording of the prompt, and where ``exact_match`` looks for the
answer. Gold answers, normalisation, equivalence and ``math_verify`` are lm-eval's functions.
"""

from typing import Any

from lm_eval.tasks.minerva_math import utils as minerva

INSTRUCTION = "Reason step by step, and put your final answer within \\boxed{}."

# What lm-eval extracts from a text without an answer: asked of it, so that it stays its word.
_NO_ANSWER = minerva.get_unnormalized_answer("")


def doc_to_text(doc: dict[str, Any]) -> str:
    """The problem as it stands, then what to do with it: the shape these models are trained on."""
    return f"{doc['problem']}\n\n{INSTRUCTION}"


def final_answer(text: str) -> str | None:
    """The answer a generation commits to, unnormalised: its last box, else its Minerva line.

    The last box, since a solution may box steps on its way. None where there is neither.
    """
    box = minerva.last_boxed_only_string(text)
    # lm-eval's extraction also returns \fbox{...}, or a box whose brace opens elsewhere, and its
    # remove_boxed fails on both: only the two forms it takes are answers.
    if box is not None and box.startswith(("\\boxed{", "\\boxed ")):
        answer = minerva.remove_boxed(box).strip()
    else:
        answer = minerva.get_unnormalized_answer(text)
    return answer if answer not in ("", _NO_ANSWER) else None


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Score one generation.

    Args:
        doc: A document from lm-eval's ``process_docs``.
        results: The generation, as a list of one.

    Returns:
        ``math_verify`` as lm-eval's ``minerva_math`` scores it; ``exact_match`` of
        :func:`final_answer` by lm-eval's equivalence; ``answer_found``: 1 if there was one.
    """
    text = results[0]
    answer = final_answer(text)
    right = answer is not None and minerva.is_equiv(minerva.normalize_final_answer(answer), doc["answer"])
    return {
        "math_verify": minerva.process_results(doc, results)["math_verify"],
        "exact_match": int(right),
        "answer_found": int(answer is not None),
    }
