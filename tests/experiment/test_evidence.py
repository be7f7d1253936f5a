"""What an experiment chooses layers by stands for what it was made from, however its making ended."""

import importlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE
from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.errors import UsageError
from sae_merge_method.experiment.evidence import find_evidence
from sae_merge_method.experiment.settings import ExperimentSettings
from tests.experiment.ground import SETTINGS
from tests.saes.at_hand import cached

ASKED = read_settings(ExperimentSettings, SETTINGS)
OTHER = read_settings(
    ExperimentSettings, SETTINGS | {"diagnosis": SETTINGS["diagnosis"] | {"score": "js_bits"}}
)
EXP = Path("exp")


@pytest.fixture
def diagnosing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], object]], None]:
    """Put another function of its folder alone in the place of diagnose."""

    def put(make: Callable[[Path], object]) -> None:
        monkeypatch.setattr(
            importlib.import_module("sae_merge_method.diagnose.run"),
            "diagnose",
            lambda asked, at, **_: make(at),
        )

    return put


def killed(at: Path) -> None:
    raise KeyboardInterrupt


def test_an_overwrite_that_was_interrupted_leaves_what_stood_and_does_not_pass_it_for_the_new_one(
    copied, diagnosing
):
    diagnosing(killed)
    stood = (EXP / "diagnosis" / DIAGNOSIS_FILE).read_bytes()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            find_evidence(OTHER, EXP, overwrite=True)
        assert (EXP / "diagnosis" / DIAGNOSIS_FILE).read_bytes() == stood
        with pytest.raises(UsageError, match="was made with other settings"):
            find_evidence(OTHER, EXP, overwrite=False)


def test_a_diagnosis_that_was_replaced_stands_as_what_it_was_replaced_by(copied, diagnosing):
    made: list[Path] = []
    diagnosing(made.append)
    for overwrite in (True, False):
        assert find_evidence(OTHER, EXP, overwrite=overwrite).diagnosis == EXP / "diagnosis"
    assert made == [EXP / "diagnosis"]


def test_a_first_diagnosis_that_was_made_just_before_a_kill_is_not_made_again(fresh, diagnosing):
    def made_and_killed(at: Path) -> None:
        at.mkdir()
        (at / DIAGNOSIS_FILE).write_text("{}")
        raise KeyboardInterrupt

    diagnosing(made_and_killed)
    with pytest.raises(KeyboardInterrupt):
        find_evidence(ASKED, EXP, overwrite=False)
    assert find_evidence(ASKED, EXP, overwrite=False).diagnosis == EXP / "diagnosis"


def test_a_diagnosis_does_not_stand_for_saes_that_were_trained_anew_in_their_folder(copied):
    find_evidence(ASKED, EXP, overwrite=False)
    weights = next(Path("saes").rglob("sae_weights.safetensors"))
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(UsageError, match=r"exp.diagnosis was made with other SAEs than now asked for"):
        find_evidence(ASKED, EXP, overwrite=False)


def test_nor_for_saes_of_a_release_that_was_fetched_again_under_its_name(fresh, diagnosing, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(fresh / "hub"))

    def fetch(layer: int, text: str) -> None:
        folder = cached(
            fresh / "hub", "google/gemma-scope-2-4b-it", f"resid_post_all/layer_{layer}_width_16k_l0_small"
        )
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "params.safetensors"):
            (folder / name).write_text(text)

    def make(at: Path) -> None:
        fetch(1, "new")  # over what lay there
        fetch(2, "new")
        at.mkdir()
        (at / DIAGNOSIS_FILE).write_text("{}")

    release = {"sae": "gemma-scope-2-4b-it-res-all", "sae_id": "layer_{layer}_width_16k_l0_small"}
    asked = read_settings(
        ExperimentSettings, SETTINGS | {"diagnosis": SETTINGS["diagnosis"] | release | {"layers": "1-3"}}
    )
    fetch(1, "old")
    diagnosing(make)
    for _ in range(2):
        assert find_evidence(asked, EXP, overwrite=False).diagnosis == EXP / "diagnosis"
        fetch(3, "nobody told of it")
    fetch(2, "newer")
    with pytest.raises(
        UsageError, match=r"exp.diagnosis was made with other SAEs of releases than now asked"
    ):
        find_evidence(asked, EXP, overwrite=False)
    shutil.rmtree("hub")
    assert find_evidence(asked, EXP, overwrite=False).diagnosis == EXP / "diagnosis"


def test_nor_for_another_chat_template(copied):
    Path("base", "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(UsageError, match="was made with other files beside the weights than now asked for"):
        find_evidence(ASKED, EXP, overwrite=False)


def test_it_stands_beside_files_that_no_text_which_is_only_read_goes_through(copied):
    Path("base", "generation_config.json").write_text('{"temperature": 0.6}')
    Path("base", "preprocessor_config.json").write_text("{}")
    assert find_evidence(ASKED, EXP, overwrite=False).diagnosis == EXP / "diagnosis"


def test_a_diagnosis_stands_for_a_copy_of_its_saes_and_without_them(copied):
    for file in Path("saes").rglob("*.*"):
        os.utime(file, (0, 0))
    assert find_evidence(ASKED, EXP, overwrite=False).diagnosis == EXP / "diagnosis"
    shutil.rmtree("saes")
    assert find_evidence(ASKED, EXP, overwrite=False).diagnosis == EXP / "diagnosis"


def test_it_stands_where_some_layers_saes_were_kept_and_these_are_still_held_against_others(copied):
    gone, kept = sorted(Path("saes").glob("layer_*"))[:2]
    shutil.rmtree(gone)
    assert find_evidence(ASKED, EXP, overwrite=False).diagnosis == EXP / "diagnosis"
    weights = kept / "sae_weights.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(UsageError, match=r"exp.diagnosis was made with other SAEs than now asked for"):
        find_evidence(ASKED, EXP, overwrite=False)


def test_a_diagnosis_of_an_older_version_stands_which_told_neither_saes_nor_tokenizer(copied):
    made_from = EXP / ".diagnosed"
    made_from.write_text(json.loads(made_from.read_text())["settings, texts or models"])
    assert find_evidence(ASKED, EXP, overwrite=False).diagnosis == EXP / "diagnosis"
    with pytest.raises(UsageError, match="was made with other settings, texts or models than"):
        find_evidence(OTHER, EXP, overwrite=False)
