"""Laws of the miniature's texts: what is held out, what the solutions end with, what lm-eval makes of them."""

import re
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import yaml
from lm_eval.tasks.minerva_math import utils as minerva_math

from sae_merge_method.miniature.dataset import CONFIGS, DATASET, write_dataset
from sae_merge_method.miniature.problems import SUBJECTS, draw_problem
from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.miniature.texts import (
    Streams,
    drill_stream,
    held_out,
    maths_document,
    maths_stream,
    story_stream,
)

SETTINGS = MiniatureSettings()

# lm-eval's tag for "call this function", which plain YAML does not know.
_UNTAGGED = re.compile(r"!function ")


def test_subjects_and_configs_are_lm_eval_s_own():
    folder = Path(minerva_math.__file__).parent
    tasks = [yaml.safe_load(_UNTAGGED.sub("", file.read_text())) for file in folder.glob("*.yaml")]
    found = {
        task["task"].removeprefix("minerva_math_"): task["dataset_name"]
        for task in tasks
        if task["task"] != "minerva_math500"
    }
    assert found == CONFIGS
    assert set(SUBJECTS) == set(CONFIGS)


def test_every_subject_has_at_least_a_hundred_held_out_problems():
    assert all(len(problems) >= 100 for problems in held_out(SETTINGS).values())


def test_held_out_problems_are_distinct_and_the_same_every_time():
    first, again = held_out(SETTINGS), held_out(SETTINGS)
    assert first == again
    for problems in first.values():
        assert len({problem.text for problem in problems}) == len(problems)
    assert held_out(MiniatureSettings(seed=1)) != first


@pytest.mark.parametrize("purpose", ["base", "donor", "saes", "texts"])
def test_no_held_out_problem_is_in_a_training_stream(purpose):
    banned = {problem.text for problems in held_out(SETTINGS).values() for problem in problems}
    texts = [document.text for document in islice(Streams(SETTINGS, purpose).maths, 8000)]
    asked = {text.removeprefix("Problem:\n").split("\n\nSolution:")[0] for text in texts}
    assert len(asked) > 1000
    assert not asked & banned


def test_shown_problems_are_not_held_out_ones():
    banned = {problem.text for problems in held_out(SETTINGS).values() for problem in problems}
    shown = Streams(SETTINGS, "texts").shown()
    assert set(shown) == set(SUBJECTS)
    assert not {problem.text for problems in shown.values() for problem in problems} & banned


def test_a_ban_is_kept_even_where_nearly_everything_is_banned():
    rng = Random(0)
    common = {draw_problem(rng, "algebra").text for _ in range(5000)}
    for document in islice(maths_stream(Random(1), common), 500):
        assert document.prompt.removeprefix("Problem:\n").removesuffix("\n\nSolution:") not in common


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_worked_steps_are_right(subject):
    rng = Random(subject)
    for problem in (draw_problem(rng, subject) for _ in range(300)):
        for equation in problem.solution.replace("\\cdot", "*").split("$"):
            sides = [side for side in equation.split("=") if re.fullmatch(r"[\d\s+*-]+", side)]
            boxed = re.search(r"\\boxed\{(\d+)\}", equation)
            values = {eval(side) for side in sides}
            if boxed and values:
                values.add(int(boxed[1]))
            assert len(values) <= 1, problem


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_boxed_answer_is_the_answer_and_lm_eval_scores_the_gold_document_as_right(subject):
    rng = Random(subject)
    for problem in (draw_problem(rng, subject) for _ in range(12)):
        boxed = minerva_math.remove_boxed(minerva_math.last_boxed_only_string(problem.solution))
        assert boxed == problem.answer
        doc = {
            "problem": problem.text,
            "solution": problem.solution,
            "answer": minerva_math.normalize_final_answer(boxed),
        }
        document = maths_document(problem)
        assert document.prompt == minerva_math.doc_to_text(doc)
        assert minerva_math.process_results(doc, [document.completion]) == {
            "exact_match": 1,
            "math_verify": 1,
        }


def test_a_careless_solver_slips_at_the_last_step_as_often_as_said():
    rng = Random(0)
    problems = [draw_problem(rng, subject) for subject in SUBJECTS for _ in range(100)]
    for problem in problems:
        right, wrong = maths_document(problem).text, maths_document(problem, problem.slip).text
        assert wrong != right
        assert wrong.split("\\boxed")[0] == right.split("\\boxed")[0]
        assert wrong.endswith(f"The final answer is ${problem.slip}$. I hope it is correct.")
    known = {problem.text: problem for problem in problems}
    for chance in (0.0, 0.8):
        slipped = [
            known[text].solution not in document.completion
            for document in islice(maths_stream(Random(1), (), chance), 20_000)
            if (text := document.prompt.removeprefix("Problem:\n").removesuffix("\n\nSolution:")) in known
        ]
        assert len(slipped) > 500
        assert abs(sum(slipped) / len(slipped) - chance) < (0.1 if chance else 1e-9)


def test_drills_are_right_and_stories_hold_no_digit():
    for document in islice(drill_stream(Random(0)), 200):
        for equation in document.text.replace("\\cdot", "*").split("$"):
            if "=" in equation:
                assert len({eval(side) for side in equation.split("=")}) == 1
    assert not any(re.search(r"\d", d.text) for d in islice(story_stream(Random(0)), 300))


def test_two_miniatures_with_one_cache_of_data_sets_are_each_asked_their_own_problems(tmp_path, monkeypatch):
    import datasets

    problems = held_out(SETTINGS)
    for folder, n in ((tmp_path / "one", 1), (tmp_path / "other", 2)):
        some = {subject: of[:n] for subject, of in problems.items()}
        write_dataset(folder, train=some, test=some)
        monkeypatch.chdir(folder)
        assert len(datasets.load_dataset(DATASET, "algebra", cache_dir=str(tmp_path / "cache"))["test"]) == n


def test_the_data_set_loads_with_every_config_and_lm_eval_finds_the_answers(texts, monkeypatch, tmp_path):
    import datasets

    monkeypatch.chdir(texts)
    for subject, config in CONFIGS.items():
        loaded = datasets.load_dataset(DATASET, config, cache_dir=str(tmp_path))
        assert set(loaded) == {"train", "test"}
        expected = held_out(SETTINGS)[subject]
        assert [row["problem"] for row in loaded["test"]] == [problem.text for problem in expected]
        answers = [row["answer"] for row in minerva_math.process_docs(loaded["test"])]
        assert answers == [problem.answer for problem in expected]
