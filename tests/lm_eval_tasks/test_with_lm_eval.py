"""Through lm-eval itself: same prompts and scores as its own tasks, and the whole command."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.lm_eval_tasks import tasks_path
from tests.warm import Warm, copy_lm_eval

from .conftest import SAID_IN_TURN, SUBJECTS, Bench, problems

# Subject number ``index`` has ``index + 2`` problems, and the model gets ``index`` of them right.
TOTAL = sum(index + 2 for index in range(len(SUBJECTS)))
RIGHT = sum(range(len(SUBJECTS)))


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


@pytest.fixture(scope="module")
def warm(bench: Bench) -> Iterator[Warm]:
    """An interpreter with nothing but ``--include_path`` to find us by."""
    copy_lm_eval(bench.folder / "packages", "minerva_math")
    environ = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(bench.folder / "cache"),
        "SAE_MERGE_NO_HOOK": "1",
        "PYTHONPATH": os.pathsep.join([str(bench.folder / "packages"), os.environ.get("PYTHONPATH", "")]),
    }
    with Warm(Path(sys.executable), environ, bench.folder / "runs") as interpreter:
        yield interpreter


def test_the_command_evaluates_the_group_offline_from_a_local_folder(bench: Bench, warm: Warm) -> None:
    command = ["-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={bench.model}"]
    options = ["--device", "cpu", "--batch_size", "8", "--log_samples", "--output_path", "out"]
    tasks = ["--tasks", "minerva_math_sae", "--include_path", str(tasks_path())]
    _run(warm, bench, command + options + tasks)
    (path,) = (bench.folder / "out").glob("*/results_*.json")
    found = json.loads(path.read_text())
    assert list(found["group_subtasks"]["minerva_math_sae"]) == [
        f"minerva_math_sae_{subject}" for subject in SUBJECTS
    ]
    # By size, not by subject: the plain mean over subjects is another number.
    assert found["groups"]["minerva_math_sae"]["exact_match,none"] == pytest.approx(RIGHT / TOTAL)
    assert found["groups"]["minerva_math_sae"]["answer_found,none"] == 1.0
    assert len(list(path.parent.glob("samples_minerva_math_sae_*.jsonl"))) == len(SUBJECTS)
    verdict = _run(warm, bench, ["-m", "sae_merge_method.cli.main", "compare", "out", "out"])
    assert "0 improved, 0 degraded, 6 not shown, 1 not tested" in verdict
    assert "McNemar p" in verdict
    assert "Note:" not in verdict


def test_the_validate_command_knows_both_groups_and_every_subject(bench: Bench, warm: Warm) -> None:
    groups = ("minerva_math_sae", "minerva_math_sae_chat")
    names = [*groups, *(f"{group}_{subject}" for group in groups for subject in SUBJECTS)]
    command = ["-m", "lm_eval", "validate", "--tasks", ",".join(names), "--include_path", str(tasks_path())]
    assert "All tasks found and valid" in _run(warm, bench, command)


def _run(warm: Warm, bench: Bench, command: list[str]) -> str:
    done = warm.run(command, bench.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
