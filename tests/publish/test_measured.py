"""A card takes only what was measured on its own checkpoint, and a later run keeps what an earlier one
showed."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.cli.card import command
from sae_merge_method.errors import ArtifactError
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.verify.audit import verify
from tests.comparisons import comparison, save_comparison, subject
from tests.diagnoses import save_diagnosis
from tests.publish.test_of_experiment import save_experiment
from tests.recipes import recipe_text, run_recipe

OTHER = "0" * 64
MIT = CardSettings(license="mit")


@pytest.fixture
def out(tmp_path, merged) -> Path:
    return merged.copy(tmp_path / "maths-model")


@pytest.fixture
def result(out) -> str:
    digest = read_edit_report(out).result_sha256
    assert digest is not None
    return digest


def body(out: Path) -> str:
    return (out / "README.md").read_text()


def scores(out: Path) -> list[EvalResult]:
    index = ModelCard.load(out / "README.md").data.to_dict().get("model-index")
    return model_index_to_eval_results(index)[1] if index else []


def test_the_results_of_another_checkpoint_are_refused_by_name_and_the_card_stays_as_it_was(tmp_path, out):
    before = body(out)
    path = save_comparison(tmp_path / "comparison.json", result=OTHER)
    for allow in (False, True):
        settings = CardSettings(license="mit", comparison=path, allow_unmatched=allow)
        with pytest.raises(
            ArtifactError, match="is of another checkpoint: base was evaluated as result 0000"
        ):
            write_card(out, settings)
    assert body(out) == before


def test_results_that_do_not_say_what_was_measured_are_taken_only_where_the_author_answers_for_them(
    tmp_path, out
):
    words = [str(out), "--license", "mit", "--comparison", str(save_comparison(tmp_path / "c.json"))]
    refused = CliRunner().invoke(command, words)
    assert refused.exit_code == 1
    assert "does not say which checkpoint was evaluated" in str(refused.exception)
    assert CliRunner().invoke(command, [*words, "--allow-unmatched"]).exit_code == 0
    assert "**Not known to be of this checkpoint** (allowed)" in body(out)
    write_card(
        out,
        CardSettings(license="mit", experiment=save_experiment(tmp_path / "e", None), allow_unmatched=True),
    )
    assert body(out).count("**Not known to be of this checkpoint** (allowed)") == 2


def test_a_second_card_keeps_the_first_ones_sections_and_results(tmp_path, out, result, merged):
    made = save_comparison(tmp_path / "comparison.json", result=result)
    diagnosis = save_diagnosis(tmp_path / "diagnosis", merged.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    first = CardSettings(license="mit", comparison=made, diagnosis=diagnosis, repo_id="me/maths")
    write_card(out, first)
    shown, results = body(out), scores(out)
    assert results and "## What changed" in shown and "## Why these layers" in shown
    write_card(out, CardSettings())
    assert body(out) == shown
    write_card(out, CardSettings(experiment=save_experiment(tmp_path / "exp", result)))
    assert scores(out) == results
    for heading in (
        "What changed",
        "Why these layers",
        "What else was tried",
        "Rebuild and verify",
        "Limits",
    ):
        assert body(out).count(f"## {heading}") == 1
    assert "sae-merge rebuild me/maths" in body(out)
    assert "is not shown here" not in body(out)


def test_newer_results_take_the_place_of_the_same_tasks_and_leave_the_authors_own(tmp_path, out, result):
    write_card(
        out, CardSettings(license="mit", comparison=save_comparison(tmp_path / "a.json", result=result))
    )
    card = ModelCard.load(out / "README.md")
    own = EvalResult("text-generation", "my/data", "mine", "accuracy", 0.5, task_name="mine")
    card.data.eval_results = [*card.data.eval_results, own]
    card.save(out / "README.md")
    task = subject("minerva_math_sae_num_theory", 0.1, 0.2, "not shown", 0.5, False)
    newer = save_comparison(tmp_path / "b.json", comparison(task, result=result))
    write_card(out, CardSettings(comparison=newer))
    by_task = {one.task_name: one.metric_value for one in scores(out)}
    assert by_task == {"minerva_math_sae_num_theory": 0.2, "other|task": 0.5, "mine": 0.5}


def test_what_was_measured_on_an_earlier_result_in_the_folder_is_left_out_and_said(
    tmp_path, out, result, merged, caplog
):
    write_card(
        out, CardSettings(license="mit", comparison=save_comparison(tmp_path / "c.json", result=result))
    )
    card = body(out)
    run_recipe(recipe_text(merged.base, merged.donor, weight="0.25"), tmp_path / "again")
    shutil.copytree(tmp_path / "again", out, dirs_exist_ok=True)
    (out / "README.md").write_text(card)
    write_card(out, CardSettings(license="mit"))
    assert "## What changed" not in body(out) and not scores(out)
    assert f"the verdict is of result {result[:16]}: it is left out" in caplog.text
    assert "no evaluation came with this card" in body(out)


def test_results_on_few_problems_say_how_few(tmp_path, out, result):
    tasks = (
        subject("algebra", 0.5, 0.6, "not shown", 0.5, False, n=12, n_edited=12),
        subject("number_theory", 0.5, 0.6, "not shown", 0.5, False),
    )
    path = save_comparison(tmp_path / "c.json", comparison(*tasks, result=result))
    write_card(out, CardSettings(license="mit", comparison=path))
    assert "**Few problems**: algebra on 12. Scores of so few move by chance." in body(out)
    names = {one.task_name: one.dataset_name for one in scores(out)}
    assert names == {"algebra": "algebra, 12 problems", "number_theory": "number_theory"}


def test_how_many_problems_a_score_is_of_is_said_of_the_edited_models(tmp_path, out, result):
    tasks = (
        subject("algebra", 0.5, 0.6, "not shown", 0.5, False, n=540, n_edited=12),
        subject("geometry", 0.5, 0.6, "not shown", 0.5, False, n=12, n_edited=540),
        subject("unknown", 0.5, 0.6, "not shown", 0.5, False, n=13, n_edited=None),
    )
    path = save_comparison(tmp_path / "c.json", comparison(*tasks, result=result))
    write_card(out, CardSettings(license="mit", comparison=path))
    assert {one.task_name: (one.dataset_name, one.dataset_args["problems"]) for one in scores(out)} == {
        "algebra": ("algebra, 12 problems", 12),
        "geometry": ("geometry", 540),
        "unknown": ("unknown, 13 problems", 13),
    }
    assert "**Few problems**: algebra on 12, geometry on 12, unknown on 13." in body(out)


def test_a_card_links_the_statement_of_its_own_result_with_its_signature(tmp_path, out, result, caplog):
    verify(out, statement=out / "out.intoto.json")
    (out / "out.intoto.json.sig").touch()
    write_card(out, MIT)
    assert "## What was proved\n\n[out.intoto.json](out.intoto.json) states what `sae-merge verify`" in body(
        out
    )
    assert "signed: [out.intoto.json.sig](out.intoto.json.sig)." in body(out)
    assert "- 26 edited tensors: base + weight" in body(out)
    other = (out / "out.intoto.json").read_text().replace(result, OTHER)
    (out / "out.intoto.json").write_text(other)
    (out / "broken.intoto.json").write_text("{}")
    write_card(out, MIT)
    assert "What was proved" not in body(out)
    assert f"it is of result {OTHER[:16]}, this folder's is {result[:16]}" in caplog.text
    assert "broken.intoto.json is not linked" in caplog.text
