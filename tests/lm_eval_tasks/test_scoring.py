"""What is right, and what counts as an answer, on texts a model might write."""

import pytest

from .conftest import SAID

DOC = {"problem": "What is 2 + 2?", "solution": "It is $\\boxed{4}$.", "answer": "4"}
LINE = "Final Answer: The final answer is {}. I hope it is correct."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SAID, 1),
        (LINE.format("$4$"), 1),
        (LINE.format("$5$"), 1),
        (LINE.format(""), 0),
        ("It is $\\boxed{4}$.", 0),
        ("", 0),
        ("Final Answer: The final answer is", 0),
    ],
)
def test_the_plain_group_scores_as_lm_eval_does_and_sees_whether_there_was_an_answer(
    text: str, found: int
) -> None:
    from lm_eval.tasks.minerva_math import utils as minerva

    from sae_merge_method.lm_eval_tasks.minerva_math_sae.utils import process_results

    assert process_results(DOC, [text]) == {**minerva.process_results(DOC, [text]), "answer_found": found}


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("So it is $\\boxed{4}$.", "4", 1),
        ("First $\\boxed{3}$, then $\\boxed{4}$.", "4", 1),
        ("First $\\boxed{4}$, then $\\boxed{3}$.", "3", 0),
        ("It is $\\boxed 4$.", "4", 1),
        ("It is $\\boxed{\\frac{8}{2}}$.", "\\frac{8}{2}", 1),
        ("$\\boxed{3}$ no. " + LINE.format("$4$"), "3", 0),
        (LINE.format("$4$"), "$4$", 1),
        (LINE.format("$\\boxed{4}$"), "4", 1),
        ("It is 4.", None, 0),
        ("It is $\\boxed{}$.", None, 0),
        ("It is $\\fbox{4}$.", "4", 1),
        ("It is $\\boxed{4}$, not $\\fbox{5}$.", "4", 1),
        ("It is \\boxed4 or {so}.", "4", 1),
        ("It is $\\boxed4$.", "4", 1),
        ("It is \\[ \\boxed {4} \\]", "4", 1),
        ("It is \\(\\boxed \\frac{8}{2}\\), so $5$.", "\\frac{8}{2}", 1),
        ("It is $$\\boxed 8 - 4$$ in all.", "8 - 4", 1),
        ("It is $\\boxed{4", None, 0),
        ("It is $\\boxed{4}$. Once more: $\\boxed{4", "4", 1),
        ("It is $\\boxed{4}$. Once more: $\\boxed{\\frac{8}{2}", "4", 1),
        ("It is $\\boxed{4}$ (put within \\boxed{} as asked).", "4", 1),
        ("It is $\\boxed{4}$, in \\boxed form as asked, and $4 > 3$.", "4", 1),
        ("It goes in a \\boxed environment. The answer is $\\boxed{4}$.", "4", 1),
        ("It goes in a \\boxed environment. The answer is $4$.", None, 0),
        ("First $\\boxed 3$? No, it is $\\boxed{4}$.", "4", 1),
        ("It is $\\boxed{4}$ and {so} }.", "4", 1),
        ("It is $\\boxed{\\{4\\}}$.", "\\{4\\}", 1),
        ("It is $\\boxed{\\left\\{ 4 \\right.}$.", "\\left\\{ 4 \\right.", 0),
        ("\\boxed{\\boxed 5}", "5", 0),
        ("$\\boxed{}$ " + LINE.format("$4$"), "$4$", 1),
        (LINE.format("$\\boxed{}$"), None, 0),
        ("\\boxedly 4", None, 0),
        ("So it is \\\\boxed{4}.", "4", 1),
        ("\\[ 3 + 1 \\\\ \\boxed{4} \\]", "4", 1),
        ("\\[ 3 + 1 \\\\\\boxed{4} \\]", "4", 1),
        ("\\[\n\\boxed \\frac{8}{2}\n\\]", "\\frac{8}{2}", 1),
        ("It is $\\boxed 4 in all.\nSo $5$.", "4", 1),
        ("It is $\\boxed \\$4$.", "\\$4", 1),
        ("I put it in the \\boxed\n\n1. First step", None, 0),
        ("", None, 0),
    ],
)
def test_the_chat_group_takes_the_last_box_or_the_final_line(
    text: str, answer: str | None, right: int
) -> None:
    from sae_merge_method.lm_eval_tasks.minerva_math_sae_chat import utils

    assert utils.final_answer(text) == answer
    scores = utils.process_results(DOC, [text])
    assert scores["exact_match"] == right
    assert scores["answer_found"] == (answer is not None)


@pytest.mark.parametrize(
    ("text", "right", "found"),
    [
        ("<think>Is it $\\boxed{3}$? I give it in a \\boxed environment.</think>It is $\\boxed{4}$.", 1, 1),
        ("Said in the prompt: $\\boxed{4}$?</think>It is $\\boxed{3}$.", 0, 1),
        ("<think>Suppose it is $\\boxed{4}$. But then", 0, 0),
        ("<think>One.</think><think>Suppose it is $\\boxed{4}$. But then", 0, 0),
        ("<think>It is $\\boxed{4}$.</think>", 0, 0),
        ("It is $\\boxed{4}$. <think>Or is it $\\boxed{3}$?", 1, 1),
    ],
)
def test_the_chat_group_reads_what_stands_behind_the_thought(text: str, right: int, found: int) -> None:
    from sae_merge_method.lm_eval_tasks.minerva_math_sae_chat.utils import process_results

    assert process_results(DOC, [text]) == {"math_verify": right, "exact_match": right, "answer_found": found}


def test_a_generation_that_opens_boxes_without_end_is_read_in_no_time() -> None:
    from sae_merge_method.lm_eval_tasks.minerva_math_sae_chat.utils import final_answer

    assert final_answer("$\\boxed{4}$" + "\\boxed{" * 200_000) == "4"


BLANKS, LINES, BOXES = " " * 20_000, "\n" * 20_000, "\\boxed " * 2_500
REPEATED = {
    "blanks": ("$\\boxed" + BLANKS, None),
    "blanks before": ("$\\boxed" + BLANKS + "4$", "4"),
    "blanks behind": ("$\\boxed 4" + BLANKS + "x", "4"),
    "lines": ("$\\boxed 4" + LINES, "4"),
    "lines before the end": ("$\\boxed 4" + LINES + "$", "4"),
    "boxes": ("$" + BOXES, None),
    "boxes before the end": ("$" + BOXES + "4$", "4"),
    "boxes and lines": ("$" + "\\boxed \n " * 2_000, None),
    "commands": ("$\\boxed " + "\\quad " * 3_300, None),
    "backslashes": ("$\\boxed 4" + "\\" * 20_000, "4"),
    "digits": ("\\boxed " + "1," * 10_000, "1," * 9_999 + "1"),
    "boxes in boxes": ("\\boxed{" * 2_500 + "4" + "}" * 2_500, "4"),
    "braces": ("{" * 20_000, None),
}


@pytest.mark.parametrize("repeated", REPEATED)
def test_a_generation_that_repeats_itself_is_read_once_through(repeated: str) -> None:
    from sae_merge_method.lm_eval_tasks.minerva_math_sae_chat.utils import final_answer

    text, answer = REPEATED[repeated]
    assert final_answer(text) == answer
