"""Through lm-eval itself: same prompts and scores as its own tasks."""

from typing import Any

import pytest

from .conftest import SAID_IN_TURN, Bench, problems


@pytest.fixture(scope="module")
def evaluate(in_bench: Bench, manager: Any) -> Any:
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(in_bench.model), device="cpu", batch_size=8)

    def run(*tasks: str, **options: Any) -> Any:
        return lm_eval.simple_evaluate(
            model, tasks=list(tasks), task_manager=manager, bootstrap_iters=100, **options
        )

    return run


def test_prompts_and_scores_are_those_of_lm_evals_own_task(evaluate: Any) -> None:
    found = evaluate("minerva_math_num_theory", "minerva_math_sae_num_theory")
    theirs, ours = (found["samples"][f"minerva_math_{kind}num_theory"] for kind in ("", "sae_"))
    assert len(ours) == len(problems(4))
    shared = ("doc", "target", "arguments", "resps", "prompt_hash", "exact_match", "math_verify")
    assert [[row[key] for key in shared] for row in ours] == [[row[key] for key in shared] for row in theirs]
    assert [row["exact_match"] for row in ours] == [1, 1, 1, 1, 0, 0]
    assert "Find the domain of the expression" in ours[0]["arguments"][0][0]
    for metric in ("exact_match", "math_verify"):
        for key in (f"{metric},none", f"{metric}_stderr,none"):
            scores = found["results"]
            assert scores["minerva_math_sae_num_theory"][key] == scores["minerva_math_num_theory"][key]
    assert found["results"]["minerva_math_sae_num_theory"]["answer_found,none"] == 1.0


def test_a_chat_answer_is_asked_for_in_a_turn_and_ends_with_it(evaluate: Any) -> None:
    found = evaluate("minerva_math_sae_chat_num_theory", apply_chat_template=True)
    for row in found["samples"]["minerva_math_sae_chat_num_theory"]:
        prompt, settings = row["arguments"][0]
        assert prompt.startswith("<bos><start_of_turn>user\nWhat is ")
        assert prompt.endswith("within \\boxed{}.<end_of_turn>\n<start_of_turn>model\n")
        assert settings["max_gen_toks"] >= 1024
        # Neither "Problem:" cut it, nor did the sentence that this model says after a turn get in.
        assert row["resps"] == [[SAID_IN_TURN]]
    scores = found["results"]["minerva_math_sae_chat_num_theory"]
    assert scores["exact_match,none"] == scores["math_verify,none"] == 4 / 6
    assert scores["answer_found,none"] == 1.0
    metrics = [key for key in scores if key.endswith(",none") and "stderr" not in key]
    assert metrics[0] == "math_verify,none"


def test_a_model_that_never_refuses_is_right_about_the_benign_half_alone(evaluate: Any) -> None:
    found = evaluate("refusal_sae")
    for half, right in (("harmful", 0.0), ("benign", 1.0)):
        scores = found["results"][f"refusal_sae_{half}"]
        assert (scores["acc,none"], scores["refused,none"]) == (right, 0.0)
        prompt, settings = found["samples"][f"refusal_sae_{half}"][0]["arguments"][0]
        assert prompt.endswith(" 0\n\n### Response:\n") and settings["max_gen_toks"] == 96
    assert found["groups"]["refusal_sae"]["acc,none"] == 0.5
