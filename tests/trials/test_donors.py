"""Donors: trained on their ability alone, the same by the same seed, judged by what they say, one after the other."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.miniature.model import build_model, train_tokenizer
from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.models.tensor_names import decoder_layer
from tests.tiny import load_tensors
from trials import donors
from trials.abilities import ABILITIES, Problem, ability_named, problems
from trials.donors import answers, judged, make_donors
from trials.settings import TrialSettings
from trials.tasks import make_tasks
from trials.trainings import TRAININGS, Training

SETTINGS = TrialSettings(abilities=("letters",), held_out_problems=6, task_problems=6)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers with a tokenizer that adds a begin-of-text, in bfloat16 as bases are."""
    folder = tmp_path_factory.mktemp("donors") / "base"
    texts = [one.prompt + one.completion for row in ABILITIES.values() for one in problems(row, "train", 50)]
    tokenizer = train_tokenizer(texts, 300)
    model = build_model(MiniatureSettings(n_layers=2, d_model=32, d_mlp=64), tokenizer)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps a donor."""
    monkeypatch.setitem(TRAININGS, ("smollm2-135m", "letters"), Training(3, 1e-2))


@pytest.fixture(scope="module")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("donors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TRAININGS, ("smollm2-135m", "letters"), Training(3, 1e-2))
        make_donors(SETTINGS, base, folder)
    return folder


def test_the_task_vector_lives_in_the_layers_and_is_saved_in_bfloat16_with_the_tokenizer(base, made):
    before, after = load_tensors(base), load_tensors(made / "letters-0")
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, before[name]) or decoder_layer(name) is not None, name
    moved = [name for name in after if not torch.equal(after[name], before[name])]
    assert {decoder_layer(name) for name in moved} == {0, 1}
    assert (made / "letters-0" / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()


def test_what_stands_stays_and_a_donor_without_its_record_is_made_again_to_the_same_bytes(
    base, made, tmp_path
):
    weights = {seed: file_sha256(made / f"letters-{seed}" / "model.safetensors") for seed in (0, 1)}
    assert weights[0] != weights[1]
    record = (made / "letters-0.json").read_bytes()
    (made / "letters-0.json").unlink()  # as a run leaves it that ends between the two
    untouched = (made / "letters-1" / "model.safetensors").stat().st_mtime_ns
    make_donors(SETTINGS, base, made)
    assert (made / "letters-0.json").read_bytes() == record
    assert {seed: file_sha256(made / f"letters-{seed}" / "model.safetensors") for seed in (0, 1)} == weights
    assert (made / "letters-1" / "model.safetensors").stat().st_mtime_ns == untouched


def test_an_interrupted_training_leaves_nothing(base, tmp_path, monkeypatch):
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(donors, "train_donor", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_donors(SETTINGS, base, tmp_path / "donors")
    assert not (tmp_path / "donors").exists()


def test_the_record_says_how_it_was_trained_and_what_both_answer(made):
    record = json.loads((made / "letters-1.json").read_text())
    assert record["model"] == "smollm2-135m"
    assert (record["ability"], record["seed"]) == ("letters", 1)
    assert (record["steps"], record["learning_rate"], record["held_out"]) == (3, 1e-2, 6)
    for share in ("base_exact_match", "donor_exact_match", "base_in_form", "donor_in_form"):
        assert 0 <= record[share] <= 1


def test_answers_are_those_that_lm_eval_generates_for_the_task(base, made, tmp_path, monkeypatch):
    import datasets
    import lm_eval
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    make_tasks(SETTINGS, tmp_path / "tasks")
    found = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(made / "letters-0"), "dtype": "float32"},
        tasks=["trial_letters"],
        task_manager=TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False),
        device="cpu",
        batch_size=6,
        log_samples=True,
        bootstrap_iters=0,
    )
    by_lm_eval = [sample["filtered_resps"][0] for sample in found["samples"]["trial_letters"]]
    model = AutoModelForCausalLM.from_pretrained(made / "letters-0", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(made / "letters-0")
    assert answers(model, tokenizer, problems(ability_named("letters"), "task", 6)) == by_lm_eval
    assert any(by_lm_eval)


def test_of_a_gain_form_is_what_the_base_did_not_even_try():
    ability = ABILITIES["arithmetic"]
    held_out = [Problem("1 + 1 =", " 2"), *[Problem("2 + 3 =", " 5")] * 4]
    before = ["2", "6", "it is 5", "", "5"]
    after = ["2", "5", "5", "5", "7"]
    record = judged("smollm2-135m", ability, 0, Training(3, 1e-2), held_out, before, after)
    assert record.base_exact_match == 2 / 5
    assert record.donor_exact_match == 4 / 5
    assert record.base_in_form == 3 / 5
    assert record.donor_in_form == 1
    assert record.form_share == 2 / 3  # gained: the second, which was a wrong number, and two that were none
    same = judged("smollm2-135m", ability, 0, Training(3, 1e-2), held_out, before, before)
    assert same.form_share is None


def test_the_loss_is_that_of_the_answers_and_what_problems_begin_with_passes_once(base):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from sae_merge_method.miniature.training import next_token_loss

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    examples = [donors._example(tokenizer, one) for one in problems(ability_named("sorting"), "train", 8)]
    plain = next_token_loss(model, examples, completion_only=True)
    read = []
    model.model.layers[0].register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].shape[:2]))
    shared = donors.answer_loss(model, examples)
    assert shared.item() == pytest.approx(plain.item(), rel=1e-5)
    tokens = sum(rows * width for rows, width in read[-2:])
    assert tokens < 0.6 * len(examples) * max(len(one.ids) for one in examples)
    weights = [layer.mlp.up_proj.weight for layer in model.model.layers]
    for one, other in zip(
        torch.autograd.grad(plain, weights), torch.autograd.grad(shared, weights), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
