"""``sae-merge experiment run`` on real hosts: what it leaves, and that it is what the stages leave by hand."""

import json
import re
import subprocess

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.artifacts.experiment import read_experiment
from sae_merge_method.artifacts.experiment_plan import read_arm, read_plan
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.cli.compare import command as compare
from sae_merge_method.errors import ComparisonError, UsageError
from sae_merge_method.experiment.report.write import report_experiment
from sae_merge_method.experiment.run import plan_experiment, run_experiment
from sae_merge_method.experiment.settings import RunSettings
from sae_merge_method.merge.run import merge
from tests.experiment.ground import ARMS, SETTINGS, SUBJECTS, environment, outcome, stamps, write_settings
from tests.warm import lm_eval_of_few_tasks

HERE = RunSettings(workers=0)
"""In this process, where lm-eval is loaded anyway."""


def test_every_arm_is_done_and_the_report_written(finished):
    experiment = read_experiment(finished.out)
    assert tuple(arm.name for arm in experiment.arms) == ARMS and not experiment.missing
    assert all(arm.overall.n == 2 * SUBJECTS and arm.general is not None for arm in experiment.arms)
    for name in ARMS:
        assert f"\n{name} " in f"\n{finished.stdout}".replace("*", ""), name
        assert f"{name}: done" in finished.stderr
    assert (finished.out / "experiment.html").is_file() and (finished.out / "experiment.md").is_file()
    assert (finished.out / "diagnosis" / "diagnosis.json").is_file()


def test_every_arm_is_in_record_and_report_who_it_is_in_the_plan(finished):
    arms, report = read_plan(finished.out).arms, read_experiment(finished.out).arms
    for planned, measured in zip(arms, report, strict=True):
        record = read_arm(finished.out / "arms" / planned.name)
        for name, value in planned:
            assert getattr(record, name) == getattr(measured, name) == value, (planned.name, name)
        assert (
            measured.energy
            == record.energy
            == pytest.approx(planned.planned_energy or record.energy, rel=1e-4)
        )


def test_merged_checkpoints_are_gone_and_their_reports_kept(finished):
    assert not (finished.out / "merged").exists()
    assert {file.parent.name for file in finished.out.rglob("*.safetensors")} == {"diagnosis"}
    assert read_edit_report(finished.out / "arms" / "scalpel").merge_method == "sae_scalpel"


def test_base_is_evaluated_once_and_never_merged(finished):
    base = finished.out / "arms" / "base"
    assert len(list(base.rglob("results_*.json"))) == 1
    assert sorted(file.name for file in base.iterdir()) == ["arm.json", "results"]
    others = [read_results(file).model for file in sorted(finished.out.glob("arms/[!b]*/results"))]
    assert len(others) == 5
    assert ["merged" in model for model in others].count(False) == 1  # the donor, as it is


def test_lm_eval_is_started_once_a_worker_not_once_an_arm(finished):
    logs = {file.name: file.read_text() for file in (finished.out / "logs").iterdir()}
    assert {name: len(re.findall("lm-eval .* is loaded", text)) for name, text in logs.items()} == {
        "worker-0.log": 1,
        "worker-1.log": 1,
    }
    ran = [name for text in logs.values() for name in re.findall(r": arm (\S+)", text)]
    assert sorted(ran) == sorted(ARMS)


def test_every_worker_sees_its_own_gpus(finished):
    results = [json.loads(file.read_text()) for file in finished.out.glob("arms/*/results/*/results_*.json")]
    assert {result["results"]["which_gpu"]["gpu,none"] for result in results} == {3.0, 5.0}


def test_an_arm_is_what_its_recipe_merges_to_by_hand(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.folder)
    for name in ("scalpel", "mine"):
        recipe = finished.out / "arms" / name / "recipe.yml"
        by_hand = merge(recipe, tmp_path / name, options={"quiet": True}).result_sha256
        assert by_hand == read_arm(finished.out / "arms" / name).result_sha256, name


def test_an_evaluation_is_what_lm_eval_s_own_command_makes_of_the_same_model(finished, tmp_path, warm_python):
    words = ["run", "--model", "hf", "--model_args", "pretrained=./donor", "--tasks", "two_subjects"]
    words += ["--device", "cpu", "--batch_size", "32", "--limit", "2", "--num_fewshot", "0", "--log_samples"]
    words += ["--include_path", "tasks"]
    words += ["--gen_kwargs", "max_gen_toks=16", "--output_path", str(tmp_path / "stock")]
    result = subprocess.run(
        [str(warm_python.with_name("lm_eval")), *words], cwd=finished.folder, env=environment(finished.folder),
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    donor = finished.out / "arms" / "donor" / "results"
    asked = [str(tmp_path / "stock"), str(donor), "--format", "json", "--metric", "exact_match"]
    compared = CliRunner().invoke(compare, asked, catch_exceptions=False)
    comparison = json.loads(compared.stdout)
    assert comparison["mismatches"] == []
    assert [subject["delta"] for subject in comparison["subjects"]] == [0.0] * SUBJECTS
    assert all(subject["paired"]["n"] == 2 for subject in comparison["subjects"])
    files = [next(folder.glob("**/results_*.json")) for folder in (tmp_path / "stock", donor)]
    stock, ours = (json.loads(file.read_text()) for file in files)
    for part in ("results", "group_subtasks", "task_hashes", "versions", "n-shot", "n-samples"):
        assert stock[part] == {name: ours[part][name] for name in stock[part]}, part
    assert stock["model_source"] == ours["model_source"]
    seeds = ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")
    for part in ("model", "model_args", "limit", "gen_kwargs", *seeds):
        assert stock["config"][part] == ours["config"][part], part


def test_a_finished_experiment_runs_nothing_and_writes_the_same_report(
    copied, finished, sae_merge_experiment
):
    when = stamps(copied / "exp" / "arms")
    recipes = {name for name in when if name.endswith("recipe.yml")}
    assert sae_merge_experiment("run").exit_code == 0
    assert outcome(copied / "exp") == outcome(finished.out)
    assert {name for name, _ in stamps(copied / "exp" / "arms").items() ^ when.items()} == recipes


def test_the_report_can_be_written_anew_from_the_folder_alone(copied, finished):
    (copied / "exp" / "experiment.json").unlink()
    report = report_experiment(copied / "exp")
    assert outcome(copied / "exp") == outcome(finished.out)
    assert report == read_experiment(finished.out)


def test_the_settings_kept_in_the_folder_are_those_it_was_run_with(copied):
    ahead = plan_experiment("exp/experiment.yml", "exp")
    assert ahead.arms == ARMS
    assert ahead.done == set(ARMS)
    assert ahead.minutes is not None
    assert {task.problems for task in ahead.tasks} == {2}


def test_more_arms_can_be_asked_for_later_and_only_they_are_run(copied, sae_merge_experiment):
    done = ("base", "scalpel/results")
    when = [stamps(copied / "exp" / "arms" / part) for part in done]
    write_settings(copied, arms=[*SETTINGS["arms"], "random-layers"])
    result = sae_merge_experiment("run", "--random-layers", "1", "--keep", "--workers", "0")
    assert result.exit_code == 0, result.output
    names = [arm.name for arm in read_experiment(copied / "exp").arms]
    assert names == [*ARMS[:4], "random-layers-0", *ARMS[4:]]
    assert [stamps(copied / "exp" / "arms" / part) for part in done] == when
    assert [folder.name for folder in (copied / "exp" / "merged").iterdir()] == ["random-layers-0"]


def test_an_experiment_can_be_run_from_its_file_in_this_process_with_tasks_and_metric_of_the_users(fresh):
    evaluation = SETTINGS["evaluation"] | {"tasks": "which_gpu"}
    file = write_settings(fresh, arms=[], metric="gpu", evaluation=evaluation, general_loss=None)
    experiment = run_experiment(file, fresh / "exp", HERE)
    assert experiment == read_experiment(fresh / "exp")
    assert experiment.metric == "gpu,none" and experiment.corpus is None
    assert [arm.name for arm in experiment.arms] == ["base", "stethoscope"]
    harm = next(one for one in experiment.conclusions if "general text" in one.claim)
    assert harm.answer == "not tested"
    assert not (fresh / "exp" / "logs").exists()


def test_a_metric_that_the_tasks_do_not_have_ends_the_run_once_the_base_is_evaluated(fresh, finished):
    evaluation = SETTINGS["evaluation"] | {"tasks": "which_gpu"}
    asked = {"evaluation": evaluation, "diagnosis": str(finished.out / "diagnosis"), "general_loss": None}
    file = write_settings(fresh, arms=[], **asked)
    for _ in range(2):  # the second finds the base done
        with pytest.raises(
            ComparisonError, match="no task in .* has the metric exact_match.* there: gpu,none"
        ):
            run_experiment(file, "exp", HERE)
        assert [at.parent.name for at in (fresh / "exp").glob("arms/*/arm.json")] == ["base"]


def test_a_metric_that_runs_both_ways_is_refused_before_a_diagnosis_or_an_arm(
    fresh, finished, sae_merge_experiment
):
    words = (
        "^expected a metric that rises or falls in every task for the better, got gpu of which more is better "
        "in which_gpu, and less in fewest$"
    )
    fewest = (fresh / "tasks" / "which_gpu.yaml").read_text().replace("task: which_gpu", "task: fewest")
    (fresh / "tasks" / "fewest.yaml").write_text(
        fewest.replace("higher_is_better: true", "higher_is_better: false")
    )
    evaluation = SETTINGS["evaluation"] | {"tasks": ["which_gpu", "fewest"]}
    for diagnosis in (SETTINGS["diagnosis"], str(finished.out / "diagnosis")):
        write_settings(fresh, arms=[], metric="gpu", evaluation=evaluation, diagnosis=diagnosis)
        for verb, how in (("plan", []), ("run", ["--workers", "0"])):
            with pytest.raises(UsageError, match=words):  # which ends a command with 2
                raise sae_merge_experiment(verb, *how).exception
            assert not list(fresh.rglob("diagnosis.json")) and not list(fresh.rglob("arm.json"))


def test_an_arm_made_from_other_things_is_refused_and_run_again_only_where_told(copied):
    before = stamps(copied / "exp")
    evaluation = SETTINGS["evaluation"] | {"limit": 1}
    fewer = write_settings(copied, evaluation=evaluation)
    with pytest.raises(UsageError, match="evaluation differ"):
        run_experiment(fewer, "exp", HERE)
    assert stamps(copied / "exp") == before
    # A run that was told, and ends before its first arm, leaves no arm of the old settings to report.
    nowhere = RunSettings(overwrite=True, ray="127.0.0.1:1")
    with pytest.raises(UsageError, match="no cluster to join"):
        run_experiment(fewer, "exp", nowhere)
    assert not list((copied / "exp").glob("arms/*/arm.json"))
    small = write_settings(copied, evaluation=evaluation, arms=[], general_loss=None)
    report = run_experiment(small, "exp", RunSettings(overwrite=True, workers=0))
    assert {arm.overall.n for arm in report.arms} == {SUBJECTS}


def test_a_task_that_lm_eval_does_not_know_is_refused_before_a_diagnosis_is_made(fresh, monkeypatch):
    from lm_eval.tasks import manager

    monkeypatch.setattr(manager, "__file__", str(lm_eval_of_few_tasks() / "lm_eval" / "tasks" / "manager.py"))
    file = write_settings(fresh, evaluation={"tasks": ["minerva_math_say"], "device": "cpu"})
    for verb in (plan_experiment, run_experiment):
        with pytest.raises(UsageError, match="lm-eval knows no minerva_math_say"):
            verb(file, "exp")
        assert not (fresh / "exp").exists()
