"""``sae-merge experiment plan``: all arms, none run; what is refused before anything is, and leaves no trace."""

import re

import pytest
from safetensors.torch import load_file, save_file

from sae_merge_method.artifacts.attribution import read_attribution
from sae_merge_method.artifacts.experiment_plan import read_plan
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.controls.kinds import ArmKind
from sae_merge_method.errors import InUseError, SaeMergeError, UsageError
from sae_merge_method.files.lock import locked
from tests.experiment.ground import SETTINGS, SUBJECTS, stamps, write_settings

CANNOT_BE_RUN = {
    "no such recipe": ([{"mine": "nowhere.yml"}], r"nowhere\.yml"),
    "another base": ([{"mine": "others.yml"}], r"others\.yml: expected the experiment's base ./base"),
}


@pytest.fixture
def diagnosed(finished):
    """A diagnosis of what the experiment reads: where it is not the point, none has to be made."""
    return str(finished.out / "diagnosis")


@pytest.mark.parametrize("arms, words", CANNOT_BE_RUN.values(), ids=CANNOT_BE_RUN.keys())
def test_arms_that_cannot_be_run_are_refused(fresh, diagnosed, sae_merge_experiment, arms, words):
    (fresh / "others.yml").write_text(
        "merge_method: sae_stethoscope\nbase_model: ./donor\nmodels: [{model: ./base}]\nparameters: {layers: '1'}\n"
    )
    write_settings(fresh, arms=arms, diagnosis=diagnosed)
    result = sae_merge_experiment("plan")
    assert isinstance(result.exception, SaeMergeError), result.output
    assert re.search(words, str(result.exception))
    assert not (fresh / "exp" / "plan.json").exists()


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"general_loss": {"corpus": "one.jsonl"}}, "expected two documents or more"),
        ({"general_loss": {"corpus": "nowhere.jsonl"}}, "nowhere.jsonl"),
        ({"base": "./nowhere"}, "nowhere"),
        ({"diagnosis": "nowhere"}, "nowhere"),
    ],
)
def test_a_start_that_fails_leaves_no_folder_behind(fresh, sae_merge_experiment, changed, words):
    (fresh / "one.jsonl").write_text('{"text": "alone"}\n')
    write_settings(fresh, **changed)
    result = sae_merge_experiment("run")
    assert isinstance(result.exception, SaeMergeError) and words in str(result.exception)
    assert not (fresh / "exp").exists()


def test_a_folder_of_something_else_is_left_alone(fresh, sae_merge_experiment):
    (fresh / "exp").mkdir()
    (fresh / "exp" / "thesis.tex").write_text("years of work")
    for verb in ("run", "plan"):
        result = sae_merge_experiment(verb)
        assert isinstance(result.exception, UsageError) and "thesis.tex" in str(result.exception)
    assert [file.name for file in (fresh / "exp").iterdir()] == ["thesis.tex"]


def test_a_plan_lists_all_arms_and_runs_none(fresh, sae_merge_experiment, monkeypatch):
    row = ArmKind("bottom", "layers", "the near end", lambda ground: [(0, 1)])
    monkeypatch.setitem(ARMS, row.name, row)
    write_settings(fresh, arms="all", random_layers=1, single_layers=True)
    before = sae_merge_experiment("plan").stdout
    assert not (fresh / "exp").exists()
    counted = {words[0]: int(words[1]) for words in map(str.split, before.split("\n\n")[0].splitlines()[2:])}
    result = sae_merge_experiment("plan", "--diagnose")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["arm", "state", "energy", "stored", "cosine", "matched", "layers"]
    listed = [line.split() for line in lines[2 : lines.index("")]]
    names = [words[0] for words in listed]
    assert names[:2] == ["base", "stethoscope"]
    assert (counted["layer"], counted["bottom"], counted["damped"]) == (4, 1, 3)
    assert all(any(ARMS[kind].owns(name) for name in names) for kind in counted)
    assert names[-5:] == [f"layer-{layer}" for layer in range(4)] + ["bottom"]
    assert all(words[1:3] == ["to", "do"] for words in listed)
    assert "layers: '0, 1'" in (fresh / "exp" / "arms" / "bottom" / "recipe.yml").read_text()
    assert not list((fresh / "exp").rglob("results*"))


@pytest.mark.parametrize(("frozen", "among"), [((), None), ((2,), (0, 1, 3))])
def test_a_plan_keeps_which_layers_random_sets_are_drawn_from(
    fresh, diagnosed, sae_merge_experiment, frozen, among
):
    weights, base = fresh / "donor" / "model.safetensors", load_file(fresh / "base" / "model.safetensors")
    kept = {name: base[name] for name in base for layer in frozen if f"layers.{layer}." in name}
    save_file(load_file(weights) | kept, weights, {"format": "pt"})
    write_settings(fresh, arms=["random-layers"], select="layers=0-1", diagnosis=diagnosed)
    assert sae_merge_experiment("plan").exit_code == 0
    assert read_plan(fresh / "exp").among == among


def test_a_plan_says_which_claims_its_arms_cannot_tell(fresh, diagnosed, sae_merge_experiment):
    write_settings(fresh, arms=["scalpel"], diagnosis=diagnosed)
    result = sae_merge_experiment("plan")
    _, untold = result.stdout.split("Claims that these arms cannot tell:\n")
    assert "- the selected layers beat random layers matched with them: takes random-layers\n" in untold
    assert "beats its projection" not in untold


def test_a_plan_counts_the_problems_through_lm_eval_and_says_what_they_can_show(
    fresh, diagnosed, sae_merge_experiment
):
    write_settings(fresh, arms=["scalpel"], diagnosis=diagnosed)
    printed = sae_merge_experiment("plan").stdout
    rows = {line.split()[0]: line.split()[1] for line in printed.splitlines() if line.startswith("minerva")}
    assert len(rows) == SUBJECTS and set(rows.values()) == {"2"}  # the limit
    assert "all tasks" in printed and "tokens to generate an arm" in printed


def test_a_plan_without_its_problems_at_hand_says_so_and_stands(fresh, diagnosed, sae_merge_experiment):
    (fresh / "tasks" / "which_gpu.yaml").write_text(
        "task: which_gpu\ndataset_path: ./nowhere\ntest_split: test\noutput_type: generate_until\n"
        'doc_to_text: ""\ndoc_to_target: ""\n'
    )
    evaluation = SETTINGS["evaluation"] | {"tasks": "which_gpu"}
    write_settings(fresh, arms=[], diagnosis=diagnosed, evaluation=evaluation)
    result = sae_merge_experiment("plan")
    assert result.exit_code == 0, result.output
    assert "How many problems there are is not known:" in result.stdout
    assert (fresh / "exp" / "plan.json").exists()


@pytest.mark.parametrize("other", ["settings", "text"])
def test_a_diagnosis_of_other_things_is_not_taken_for_the_one_asked_for(copied, sae_merge_experiment, other):
    assert sae_merge_experiment("plan").exit_code == 0
    before = stamps(copied / "exp")
    if other == "settings":
        write_settings(copied, diagnosis=SETTINGS["diagnosis"] | {"score": "js_bits"})
    else:
        (copied / "target.jsonl").write_text('{"text": "one and one is two"}\n')
    result = sae_merge_experiment("plan")
    assert isinstance(result.exception, UsageError) and "other settings, texts" in str(result.exception)
    assert stamps(copied / "exp") == before


def test_two_runs_at_once_in_one_folder_are_refused(fresh, sae_merge_experiment):
    (fresh / "exp").mkdir()
    with locked(fresh / "exp"):
        result = sae_merge_experiment("plan", "--diagnose")
    assert isinstance(result.exception, InUseError) and "is being edited by process" in str(result.exception)


ATTRIBUTED = {
    "diagnosis": None,
    "attribution": {
        "target": "target.jsonl", "control": "control.jsonl", "max_documents": 8, "groups": 2, "device": "cpu",
        "first_order": True,
    },
    "score": "first_order_gain",
}  # fmt: skip


def test_layers_are_chosen_by_an_attribution_that_is_made_on_the_way(fresh, sae_merge_experiment):
    write_settings(fresh, arms=["all-layers", "scalpel"], **ATTRIBUTED)
    result = sae_merge_experiment("plan", "--diagnose")
    assert result.exit_code == 0, result.output
    plan = read_plan(fresh / "exp")
    scores = read_attribution(fresh / "exp" / "attribution").scores_by("first_order_gain")
    assert (plan.score, plan.scores) == ("first_order_gain", scores)
    assert plan.layers == tuple(sorted(sorted(scores, key=scores.__getitem__)[-2:]))
    assert [arm.name for arm in plan.arms] == ["base", "stethoscope", "all-layers"]
    assert plan.arms[1].description.endswith("top_k=2 of first_order_gain, which knows the donor")
    before = stamps(fresh / "exp" / "attribution")
    assert sae_merge_experiment("plan").exit_code == 0
    assert stamps(fresh / "exp" / "attribution") == before  # what stands is not made anew


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"diagnosis": None}, "expected diagnosis: a folder or settings"),
        ({"diagnosis": None, "score": "attributed_gain"}, "expected diagnosis: a folder or settings"),
        (
            ATTRIBUTED | {"attribution": {"target": "a", "control": "b", "base": "./other"}},
            "attribution.base",
        ),
        (ATTRIBUTED | {"attribution": {"target": "a"}}, "attribution.control"),
    ],
)
def test_settings_without_scores_to_choose_by_are_refused(fresh, sae_merge_experiment, changed, words):
    write_settings(fresh, **changed)
    result = sae_merge_experiment("plan")
    assert isinstance(result.exception, SaeMergeError) and words in str(result.exception)
    assert not (fresh / "exp").exists()


def test_a_score_of_an_attribution_that_is_not_there_is_told_of(fresh, sae_merge_experiment):
    write_settings(fresh, diagnosis="diagnosis", score="attributed_gain")
    result = sae_merge_experiment("plan")
    assert "there is no attribution.json in" in str(result.exception)
