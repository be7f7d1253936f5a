"""Problems of tasks one by one: what is asked, what a right answer is, and scores of some as of all."""

import json
from pathlib import Path

import pytest

from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.artifacts.lm_eval_samples import read_samples
from sae_merge_method.errors import UsageError
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.questions import Question, lm_around, questions, scores
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.loaded.text_model import TextModel, load_text_model
from tests.in_memory.models import llama

ROWS = [{"q": f"m{nth} p{nth}", "a": f"c{nth % 3}", "right": nth % 3} for nth in range(6)]
COMMON = """
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: "{{{{q}}}}"
metadata: {{version: 1}}
"""
KINDS = {
    "chooses": """
output_type: multiple_choice
doc_to_choice: [c0, c1, c2]
doc_to_target: right
metric_list: [{metric: acc}]
""",
    "answers": """
output_type: generate_until
doc_to_target: "{{a}}"
generation_kwargs: {until: ["."], max_gen_toks: 1, do_sample: false}
metric_list: [{metric: exact_match}]
""",
    "reads": """
output_type: loglikelihood
doc_to_target: " {{a}}"
metric_list: [{metric: perplexity}]
""",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, kind in KINDS.items():
        (folder / f"{name}.yaml").write_text(f"task: {name}" + COMMON.format(data=data) + kind)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> TextModel:
    return load_text_model(str(llama(folder / "model")), "float32", "cpu", with_head=True)


def harness(folder: Path, model: TextModel, *tasks: str, **more: object) -> Harness:
    settings = {"tasks": tasks, "include_path": str(folder), "batch_size": 8, "device": "cpu"} | more
    return Harness(EvaluationSettings.model_validate(settings), str(model.name))


def test_every_problem_has_its_text_its_prompt_and_a_right_answer(folder: Path, model: TextModel) -> None:
    asked = harness(folder, model, *KINDS, num_fewshot=1)
    found = questions(asked, lm_around(model, asked.settings))
    of_task = {name: [one for one in found if one.task == name] for name in KINDS}
    assert [(one.number, one.text.splitlines()[0]) for one in of_task["answers"]] == [
        (nth, row["q"]) for nth, row in enumerate(ROWS)
    ]
    for name in KINDS:
        assert [one.answer for one in of_task[name]] == [f" {row['a']}" for row in ROWS], name
        assert all(one.prompt.endswith(one.text.splitlines()[0]) for one in of_task[name])
        assert all("\n\n" in one.prompt for one in of_task[name])  # the example that is shown


def test_a_dump_that_lm_eval_hashed_nothing_in_has_the_hashes_that_it_makes(
    folder: Path, model: TextModel, tmp_path: Path
) -> None:
    indices = {"chooses": [0, 2, 3], "answers": [0, 1]}
    asked = harness(folder, model, "chooses", "answers", num_fewshot=1)
    dumped = json.loads(json.dumps(asked.ask(lm_around(model, asked.settings), indices), default=str))
    (tmp_path / "hashed.json").write_text(json.dumps(dumped))
    for rows in dumped["samples"].values():
        for row in rows:
            del row["prompt_hash"], row["doc_hash"]
    (tmp_path / "plain.json").write_text(json.dumps(dumped))
    runs = [read_results(tmp_path / name) for name in ("hashed.json", "plain.json")]
    for task, metric in (("chooses", "acc,none"), ("answers", "exact_match,none")):
        hashed, plain = (read_samples(run, task, metric).rows for run in runs)
        assert len({row.prompt_hash for row in hashed}) == len(indices[task])
        assert plain == hashed


def test_a_limit_leaves_the_others_out(folder: Path, model: TextModel) -> None:
    asked = harness(folder, model, "chooses", limit=4)
    assert len(questions(asked, lm_around(model, asked.settings))) == 4


def test_some_problems_score_what_they_score_among_all(folder: Path, model: TextModel) -> None:
    asked = harness(folder, model, "chooses", "answers")
    lm = lm_around(model, asked.settings)
    found = questions(asked, lm)
    chooses = [one for one in found if one.task == "chooses"]
    whole = scores(asked, lm, chooses, "acc")
    assert set(whole) <= {0.0, 1.0} and len(whole) == len(ROWS)
    some = [chooses[nth] for nth in (4, 1, 3)]
    assert scores(asked, lm, some, "acc,none") == tuple(whole[one.number] for one in some)


@pytest.mark.parametrize(
    ("task", "metric", "words"),
    [
        ("chooses", "exact_match", r"the task chooses has no exact_match; it has acc,none"),
        ("chooses", "acc,other", r"has no acc,other; it has acc,none"),
        ("reads", "perplexity", r"the task reads is better the less there is of perplexity"),
    ],
)
def test_a_metric_that_cannot_judge_is_refused(
    folder: Path, model: TextModel, task: str, metric: str, words: str
) -> None:
    asked = harness(folder, model, task)
    lm = lm_around(model, asked.settings)
    with pytest.raises(UsageError, match=words):
        scores(asked, lm, [Question(task, 1, "", "", None)], metric)
