"""Every command of a trial is one that our own commands would take, and every file one that they would read."""

from dataclasses import replace

import click
import pytest
import yaml
from click.testing import CliRunner
from transformers import AutoTokenizer

from sae_merge_method.cli.main import road
from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.files.stamps import folder_stamp
from sae_merge_method.tune.settings import TuneSettings
from tests import tiny
from tests.diagnose.hosts import save_tokenizer
from tests.trials.laid import DONORS, lay_out_trial
from trials.__main__ import main
from trials.experiments import MANY_ARMS, experiment_text, rounding_text, write_picks
from trials.sizes import Sizes
from trials.stages import STAGES, Trial, jobs_of

SIZES = Sizes(pick=2)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = lay_out_trial(tmp_path_factory.mktemp("trial"))
    return Trial(folder, SIZES, folder.abilities(), (0,))


def parsed(words):
    """The options that these words give their command."""
    command, rest = road, list(words[1:])
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), rest.pop(0))
    values, _, _ = command.make_parser(click.Context(command)).parse_args(rest)
    return {name: value for name, value in values.items() if value is not None}


def test_all_abilities_and_donors_of_the_folder_are_known(trial):
    assert trial.abilities == ("sums", "words")
    assert trial.folder.donors() == trial.donors == DONORS


@pytest.mark.parametrize("stage", ["saes", "diagnoses", "attributions"])
def test_every_option_of_a_stage_is_an_option_of_its_command(trial, stage):
    for job in jobs_of(trial, [stage]):
        assert parsed(job.words)["out"] == job.words[-1]


def test_every_stage_has_a_job_for_every_donor_or_ability(trial):
    counts = {name: len(list(stage.jobs(trial))) for name, stage in STAGES.items()}
    assert counts == {
        "donors": 2, "saes": 1, "diagnoses": 2, "attributions": 2, "tunes": 2, "experiments": 2, "rounding": 2,
    }  # fmt: skip


def test_the_help_of_only_says_what_each_stage_makes():
    printed = " ".join(CliRunner().invoke(main, ["run", "--help"]).stdout.split())
    assert all(f"{stage.name}: {stage.makes}" in printed for stage in STAGES.values())


def test_a_done_stage_has_nothing_left_to_do(trial):
    assert all(job.is_done() for job in jobs_of(trial, ["diagnoses", "attributions"]))
    assert not any(job.is_done() for job in jobs_of(trial, ["saes", "tunes", "rounding"]))


def test_the_experiment_has_all_controls_and_the_users_picks(trial):
    own = {"pick-lewis": "picks/sums-0/pick-lewis.yml"}
    text = experiment_text(trial.folder, DONORS[0], SIZES, own, few=False, device="cpu")
    read = ExperimentSettings.model_validate(yaml.safe_load(text))
    assert set(MANY_ARMS) <= set(read.controls())
    assert {name: str(file) for name, file in read.own_recipes().items()} == own
    assert read.evaluation.tasks == ("trial_sums", "trial_sums_answers", "trial_sums_near")


@pytest.mark.parametrize("rounding", ["stochastic", "float32"])
def test_the_experiments_of_rounding_differ_in_how_values_are_written(trial, rounding):
    text = rounding_text(trial.folder, DONORS[0], SIZES, rounding, "cpu")
    read = ExperimentSettings.model_validate(yaml.safe_load(text))
    assert (read.rounding, read.out_dtype) == (
        ("stochastic", None) if rounding == "stochastic" else ("nearest", "float32")
    )


def test_what_tune_reads_is_what_it_takes(trial, tmp_path):
    save_tokenizer(trial.folder.root / trial.folder.base)
    job = next(iter(STAGES["tunes"].jobs(trial)))
    prose = trial.folder.root / trial.folder.prose
    prose.parent.mkdir(parents=True, exist_ok=True)
    prose.write_text('{"text": "' + "a long story " * 40 + '"}\n{"text": "One and two."}\n')
    job.prepare()
    file = trial.folder.root / job.words[2]
    assert TuneSettings.model_validate(yaml.safe_load(file.read_text())).budget.nats == SIZES.tune_budget
    passages = read_corpus(str(trial.folder.root / trial.folder.passages(trial.folder.prose))).documents
    tokenizer = AutoTokenizer.from_pretrained(trial.folder.root / trial.folder.base)
    tokens = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in passages]
    assert tokens[0] == SIZES.passage_tokens > tokens[1]
    assert passages[1] == "One and two."


def test_scores_that_pick_the_same_layers_share_an_arm(tmp_path):
    folder = lay_out_trial(tmp_path, learned=(0, 0, 0, 0, 0, 0, 1, 2))
    tiny.gemma3_text(tmp_path / "donors" / "sums-0", seed=1, n_layers=8)
    # kl_bits takes layers 6 and 7, and so does the first order; js_bits takes 0 and 1.
    arms = write_picks(folder, DONORS[0], SIZES, few=False)
    assert list(arms) == ["without-the-last", "pick-js_bits"]
    recipe = yaml.safe_load((tmp_path / arms["pick-js_bits"]).read_text())
    assert (recipe["parameters"]["layers"], recipe["base_model"]) == ("0, 1", "./base")


def test_all_of_the_first_seed_comes_before_the_next_and_what_asks_no_sae_waits_for_none(trial):
    both = replace(trial, seeds=(0, 1))
    jobs = jobs_of(both, tuple(STAGES))
    of_next = [nth for nth, job in enumerate(jobs) if job.name.endswith("-1")]
    assert of_next == list(range(len(jobs) - len(of_next), len(jobs)))
    assert len({job.called for job in jobs}) == len(jobs)
    brief = [job for job in jobs if job.stage == "attribute" and job.name.endswith("-1")]
    assert brief
    assert not any("saes" in need for job in brief for need in job.needs)


def test_no_experiment_changes_the_tasks_that_another_began_with(tmp_path):
    folder = lay_out_trial(tmp_path)
    save_tokenizer(folder.root / folder.base)
    for donor in DONORS:
        tiny.gemma3_text(folder.root / folder.donor(donor), seed=1, n_layers=8)
    for ability in folder.abilities():
        near = folder.root / folder.near(ability)
        near.parent.mkdir(parents=True, exist_ok=True)
        near.write_text('{"text": "m1 m2 m3"}\n')
    stamps = set()
    for job in STAGES["experiments"].jobs(Trial(folder, SIZES, folder.abilities(), (0,))):
        job.prepare()
        stamps.add(folder_stamp(folder.root / folder.tasks))
    assert len(stamps) == 1
    assert len(list((folder.root / folder.tasks).glob("*.yaml"))) == 2 * len(folder.abilities())
