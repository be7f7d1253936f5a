"""Tasks of lm-eval in a search: they choose and judge, and a guard is not to be harmed."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.errors import CorpusError, UsageError
from sae_merge_method.files import stamps
from sae_merge_method.tune.bench import Bench
from sae_merge_method.tune.run import tune
from sae_merge_method.tune.settings import TuneSettings
from sae_merge_method.tune.tables import finalist_grid, rival_grid
from sae_merge_method.tune.words import sentences
from tests.tune.planted import DAMAGING, Planted, plant_tasks

GUARD = {"task": "prose", "metric": "exact_match", "points": 30}


@pytest.fixture(scope="module")
def tasks(planted: Planted) -> Path:
    return plant_tasks(planted)


def settings(planted: Planted, tasks: Path, **changes: object) -> dict[str, Any]:
    evaluation = {"tasks": ["answers"], "include_path": str(tasks), "batch_size": 64}
    few = {"families": ["all-but-costly"], "finalists": 2, "shuffles": 0, "evaluation": evaluation}
    return {**planted.settings, **few, **changes}


@pytest.fixture(scope="module")
def examined(planted: Planted, tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Tune:
    asked = settings(planted, tasks, budget=GUARD | {"nats": 0.05})
    return tune(TuneSettings.model_validate(asked), tmp_path_factory.mktemp("examined") / "out")


def test_the_task_judges_by_answers_to_problems_that_were_held_back(examined: Tune) -> None:
    assert examined.task is not None and examined.task.name == "answers"
    assert examined.task.problems.keys() == {"choice", "report"}  # searched on texts alone
    won = examined.winner.report.task
    assert won is not None and won.change == pytest.approx(won.score - examined.task.base["report"])
    rivals = {one.name: one for one in examined.rivals}
    for name in ("base", "donor", "all layers damped"):
        one = rivals[name]
        assert one.winner_is == "better" and one.task is not None and one.report.task is not None
        assert one.task.delta == pytest.approx(won.score - one.report.task.score)
    assert examined.beside_curve.stands == "above"
    choice = examined.winner.choice.task
    assert choice is not None and examined.winner.curse == pytest.approx(choice.change - won.change)


def test_the_best_on_the_choice_part_s_answers_is_taken(examined: Tune) -> None:
    chosen = [one.choice.task.score for one in examined.candidates if one.choice and one.choice.task]
    assert len(chosen) == 2 and examined.winner.choice.task is not None
    assert examined.winner.choice.task.score == max(chosen)


def test_the_guard_is_asked_of_finalists_and_of_the_winner(examined: Tune) -> None:
    assert examined.guard is not None and examined.guard.name == "prose" and examined.points == 30
    for part in (examined.winner.choice, examined.winner.report):
        assert part.guard is not None and part.guard.change > -0.3
    assert examined.winner.points == "kept"


def test_tables_and_sentences_say_what_was_answered(examined: Tune) -> None:
    told = "\n".join(sentences(examined))
    assert "On answers it has 0." in told and "the budget of 30 points is shown to be kept, of" in told
    assert rival_grid(examined).header[1] == "exact_match"
    assert finalist_grid(examined).header[-1] == "points lost, choice"


def test_without_texts_the_task_s_own_problems_are_searched_on_and_points_alone_make_a_budget(
    planted: Planted, tasks: Path, tmp_path: Path
) -> None:
    asked = settings(planted, tasks, target=None, budget=GUARD, finalists=1)
    lines: list[str] = []
    found = tune(TuneSettings.model_validate(asked), tmp_path / "out", report=lines.append)
    assert found.task is not None and found.task.problems.keys() == {"search", "choice", "report"}
    assert found.target.name == "answers" and found.target.texts == found.task.problems
    assert found.budget_weight is not None and found.budget_weight < 1  # the donor whole unlearns prose
    assert any(f"all layers at weight {found.budget_weight:g}, whose damage" in line for line in lines)
    assert found.winner.report.gain.delta > 0
    text = (tmp_path / "out" / "recipe.yml").read_text()
    assert "On the task's problems that were held back it scores" in text
    assert RecipeText(text, "recipe.yml") and str(DAMAGING) not in found.winner.shape.partition("but")[0]


def test_a_search_does_not_go_on_with_tasks_or_packages_that_score_otherwise(
    planted: Planted, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompts are the same: nothing but the files and the versions tells these answers from the old."""
    own = Path(shutil.copytree(tasks, tmp_path / "tasks"))
    asked = TuneSettings.model_validate(settings(planted, own))

    def stop(bench: Bench, side: object) -> list[float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bench, "_nats", stop)
    out = own / "out"  # what the search itself leaves among the tasks changes none of them
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune(asked, out)
    with monkeypatch.context() as patch, pytest.raises(UsageError, match="packages: .* before, lm-eval 9.9"):
        patch.setattr(stamps, "version", lambda package: "9.9")
        tune(asked, out)
    task = own / "answers.yaml"
    task.write_text(task.read_text() + "# scored otherwise\n")
    with pytest.raises(UsageError, match=r"search .*had other settings.*tasks: \w+ before, \w+ now"):
        tune(asked, out)


def test_texts_that_are_asked_are_not_searched_on(planted: Planted, tasks: Path, tmp_path: Path) -> None:
    asked = settings(planted, tasks, target=str(tasks / "answers.jsonl"))
    with pytest.raises(
        CorpusError, match=r"answers\.jsonl holds 160 of the 160 problems of answers"
    ) as caught:
        tune(TuneSettings.model_validate(asked), tmp_path / "out")
    assert caught.value.exit_code == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": None}, "expected target, evaluation, or both"),
        ({"budget": {"points": 1}}, "expected points and task together"),
        ({"budget": {"metric": "acc"}}, "expected nats a token of control text, or task and points"),
        ({"budget": 0}, "budget.nats: Input should be greater than 0"),
        ({"dtype": "bf16"}, "dtype: Input should be 'auto', 'bfloat16', 'float32' or 'float16'"),
        ({"evaluation": {"model": "vllm"}}, "evaluation: expected model hf, got vllm"),
        ({"evaluation": {"device": "cpu"}}, "expected device beside it"),
        (
            {"evaluation": {"model_args": {"dtype": "float32"}}},
            "dtype of model_args says how a model is loaded",
        ),
    ],
)
def test_settings_that_do_not_fit_are_said(changes: dict[str, object], words: str) -> None:
    given = {"base": "b", "donor": "d", "target": "t", "control": "c", "budget": 0.1, **changes}
    with pytest.raises(UsageError, match=words):
        read_settings(TuneSettings, given)
