"""What selection rules take of a diagnosis folder, by the command a user types."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoConfig

from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis, write_diagnosis
from sae_merge_method.artifacts.draws import read_draws
from sae_merge_method.cli import score, select
from sae_merge_method.diagnose.beside import MAY_DIFFER, scores_beside
from sae_merge_method.diagnose.select import select_layers, with_resamples
from sae_merge_method.errors import UsageError
from sae_merge_method.selection import overlap, parse_rule
from tests import tiny
from tests.diagnose.command import ARTIFACTS, diagnose, run
from tests.diagnoses import save_diagnosis

Change = Callable[[Diagnosis], Diagnosis]
SCORES = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}
DRAWS = ("--permutations", 200, "--bootstrap", 200)


def test_select_shows_each_rules_layers_and_their_stability(planted: Path, tmp_path: Path) -> None:
    printed = run(
        select.command, planted, "--rule", "top_k=2", "--rule", "differs=0.05", "--plot", tmp_path / "a.png"
    ).output
    header, top, differs = printed.split("\n\n")[0].splitlines()
    assert header.split()[:4] == ["rule", "of", "scores", "layers"]
    shares = ["1.00", "1.00", "1.00", "-"]  # over resamples, halves, scores, and no other SAEs
    choice = ["1,", "3", "0", "of", "2"]
    assert top.split() == ["top_k=2", "corrected", *choice, *shares, "1:", "1.00", "3:", "1.00"]
    alone = ["1.00", "-", "-"]
    assert differs.split()[:11] == ["differs=0.05", "corrected", "0,", "1,", "3", "2", "of", "3", *alone]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_choice_is_marked_in_the_folder_and_no_number_changes(planted: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(planted, tmp_path / "marked"))
    run(select.command, folder, "--rule", "top_k=2", "--mark")
    assert (folder / "diagnosis.html").read_text().count('<tr class="chosen">') == 2
    assert "<dd>1, 3 (shaded), 0 of 2 adjacent</dd>" in (folder / "diagnosis.html").read_text()
    changed = {name for name in ARTIFACTS if (folder / name).read_bytes() != (planted / name).read_bytes()}
    assert changed == {"diagnosis.html", "specificity.png"}
    run(score.command, planted, "--select", "top_k=2", "--out", tmp_path / "again", *DRAWS)
    for name in ARTIFACTS:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_choice_by_other_saes_stands_beside_it_and_only_saes_may_differ(
    planted: Path, tmp_path: Path, legible: Path, random_saes: str, maths: Path, prose: Path, more_maths: Path
) -> None:
    other, wrong = tmp_path / "other", tmp_path / "wrong"
    diagnose(other, legible, random_saes, maths, prose)
    diagnose(wrong, legible, random_saes, maths, more_maths)
    selection = select_layers(planted, "top_k=2", beside=[other, planted])
    of_other = set(select_layers(other, "top_k=2").layers)
    assert selection.over_saes == pytest.approx((overlap(of_other, {1, 3}) + 1) / 2)
    assert run(select.command, planted, "--rule", "top_k=2", "--beside", other).exit_code == 0
    with pytest.raises(UsageError, match="wrong is of another text"):
        select_layers(planted, "top_k=2", beside=[wrong])


def settings(**changed: str | int | bool | None) -> Change:
    return lambda one: one.model_copy(update={"settings": one.settings | changed})


def control(**changed: int) -> Change:
    return lambda one: one.model_copy(update={"controls": (one.controls[0].model_copy(update=changed),)})


def other_weights(diagnosis: Diagnosis) -> Diagnosis:
    numbers = dict.fromkeys(diagnosis.model.fingerprint.numbers, "0" * 64)
    fingerprint = diagnosis.model.fingerprint.model_copy(update={"numbers": numbers})
    return of_model(diagnosis, fingerprint=fingerprint)


def other_constant(diagnosis: Diagnosis) -> Diagnosis:
    constants = diagnosis.model.fingerprint.constants | {"sliding_window": 7}
    fingerprint = diagnosis.model.fingerprint.model_copy(update={"constants": constants})
    return of_model(diagnosis, fingerprint=fingerprint, config_sha256="1" * 64)


def of_model(diagnosis: Diagnosis, **changed: object) -> Diagnosis:
    return diagnosis.model_copy(update={"model": diagnosis.model.model_copy(update=changed)})


def without_begin(diagnosis: Diagnosis) -> Diagnosis:
    return of_model(diagnosis, begins_with=None, adds_begin=False)


def without_null(diagnosis: Diagnosis) -> Diagnosis:
    layers = tuple(layer.model_copy(update={"null": None}) for layer in diagnosis.layers)
    return diagnosis.model_copy(update={"layers": layers})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_weights, "another model, by its weights: expected only other SAEs"),
        (other_constant, "another sliding_window (7, not 16): expected only other SAEs"),
        (without_begin, "another token before its documents (none, not <bos>): expected only other SAEs"),
        (settings(mask="template"), "another mask setting (template, not none): expected only other SAEs"),
        (settings(match=False), "another match setting (False, not True)"),
        (settings(outlier_norm="none"), "another outlier_norm setting (none, not 5.0)"),
        (settings(apply_chat_template=True), "another apply_chat_template setting (True, not False)"),
        (settings(dtype="bfloat16"), "another dtype setting (bfloat16, not float32)"),
        (settings(of_a_later_version=1), "another of_a_later_version setting (1, not none)"),
        (control(documents=39), "prose.jsonl (39, not 40): expected only other SAEs"),
        (control(documents_read=41), "another number of documents read of"),
        (control(tokens=7), "another number of tokens of"),
        (control(tokens_read=7000), "another number of tokens read of"),
    ],
)
def test_a_diagnosis_of_other_numbers_is_refused_beside_and_what_differs_is_named(
    planted: Path, tmp_path: Path, change: Change, words: str
) -> None:
    write_diagnosis(tmp_path, change(read_diagnosis(planted)))
    with pytest.raises(UsageError, match=re.escape(words)) as refused:
        run(select.command, planted, "--rule", "top_k=2", "--beside", tmp_path)
    assert str(refused.value).startswith(f"{tmp_path} is of another ")
    assert refused.value.exit_code == 2


def test_limits_that_left_the_same_texts_and_how_scores_were_drawn_may_differ_beside(
    planted: Path, tmp_path: Path
) -> None:
    assert read_diagnosis(planted).settings.keys() > MAY_DIFFER
    changed = dict.fromkeys(MAY_DIFFER, 4242)
    write_diagnosis(tmp_path, settings(**changed)(read_diagnosis(planted)))
    assert select_layers(planted, "top_k=2", beside=[tmp_path]).over_saes == 1


@pytest.mark.parametrize("first", [False, True])
def test_a_model_is_the_same_once_transformers_has_written_its_config_again(
    tmp_path: Path, first: bool
) -> None:
    """Where the first Gemma's says gelu it writes what that is read as, which is known where a model is at hand."""
    config = tiny.text_config() | ({"model_type": "gemma", "hidden_act": "gelu"} if first else {})
    base = tiny.save_checkpoint(tmp_path / "base", config, tiny.text_tensors(0))
    again = tiny.save_checkpoint(tmp_path / "again", config, tiny.text_tensors(0))
    AutoConfig.from_pretrained(base).save_pretrained(again)
    one, two = (
        read_diagnosis(save_diagnosis(tmp_path / f"of-{model.name}", model, SCORES))
        for model in (base, again)
    )
    assert one.model.config_sha256 != two.model.config_sha256
    assert scores_beside(one, [tmp_path / "of-again"], "raw") == [SCORES]
    assert scores_beside(two, [tmp_path / "of-base"], "raw") == [SCORES]
    shutil.rmtree(base)
    assert scores_beside(one, [tmp_path / "of-again"], "raw") == [SCORES]
    shutil.rmtree(again)
    if first:
        with pytest.raises(UsageError, match=r"another hidden_act \(gelu_pytorch_tanh, not gelu\)"):
            scores_beside(one, [tmp_path / "of-again"], "raw")


def test_raw_scores_stand_beside_raw_ones_alone(planted: Path, tmp_path: Path) -> None:
    write_diagnosis(tmp_path, without_null(read_diagnosis(planted)))
    with pytest.raises(UsageError, match="has raw scores alone: expected corrected ones"):
        select_layers(planted, "top_k=2", beside=[tmp_path])
    assert select_layers(planted, "top_k=2", units="raw", beside=[tmp_path]).over_saes == 1
    # Without shuffled labels a choice is by raw scores, whatever was asked for, and so are the others.
    least = min(sorted(read_diagnosis(planted).scores("raw").values())[-2:])
    bare = read_diagnosis(tmp_path)
    assert select_layers(bare, f"threshold={least!r}", beside=[planted]).over_saes == 1


def test_corrected_units_take_the_null_off_before_a_threshold(planted: Path) -> None:
    diagnosis, draws = read_diagnosis(planted), read_draws(planted)
    entry = diagnosis.layers[0]
    assert entry.null is not None
    rule = parse_rule(f"threshold={(entry.score + entry.null.corrected) / 2!r}")
    assert 0 in with_resamples(rule, diagnosis, draws, "raw").layers
    assert 0 not in with_resamples(rule, diagnosis, draws, "corrected").layers


def test_an_unsteady_choice_is_said_to_be_unsteady(planted: Path) -> None:
    diagnosis, draws = read_diagnosis(planted), read_draws(planted)
    noisy = draws._replace(bootstrap=np.random.default_rng(0).normal(scale=100, size=(1, 400, 4)))
    selection = with_resamples(parse_rule("top_k=1"), diagnosis, noisy)
    assert selection.layers == (1,)
    assert selection.frequency == pytest.approx(dict.fromkeys(range(4), 0.25), abs=0.08)
    assert selection.agreement == pytest.approx(0.25, abs=0.08)


def test_without_draws_there_is_a_choice_and_no_stability(
    tmp_path: Path, legible: Path, planted_saes: str, maths: Path, prose: Path
) -> None:
    out = tmp_path / "out"
    diagnose(out, legible, planted_saes, maths, prose, "--bootstrap", "0", "--permutations", "0")
    assert run(select.command, out, "--rule", "top_k=1").output.splitlines()[1].split() == [
        *("top_k=1", "raw", "1", "0", "of", "1", "-", "1.00", "1.00", "-", "-")
    ]
    with pytest.raises(UsageError, match="needs q-values"):
        run(select.command, out, "--rule", "differs=0.1")
