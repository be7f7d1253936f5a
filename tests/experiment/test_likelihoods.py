"""The general loss is the model's own, and not rounded to the model's dtype."""

import json
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.experiment_plan import read_arm
from sae_merge_method.errors import ModelError
from sae_merge_method.experiment import likelihoods
from sae_merge_method.experiment.likelihoods import log_likelihoods, require_numbers


def log_p(folder: Path, texts: list[str], dtype: str) -> list[tuple[int, float]]:
    """Tokens and log-probability of each text after the first token, summed in float64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    sums = []
    for text in texts:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]])
        with torch.no_grad():
            logits = model(ids).logits[0, :-1].double().log_softmax(-1)
        sums.append((ids.shape[1] - 1, float(logits.gather(1, ids[0, 1:, None]).sum())))
    return sums


def general_texts(folder: Path, count: int) -> list[str]:
    return [json.loads(line)["text"] for line in (folder / "general.jsonl").read_text().splitlines()[:count]]


def test_the_general_loss_is_the_model_s_own(finished):
    general = read_arm(finished.out / "arms" / "base").general
    assert general is not None and len(general.nats) == 5
    expected = log_p(finished.folder / "base", general_texts(finished.folder, 5), "float32")
    assert general.tokens == tuple(tokens for tokens, _ in expected)
    assert general.nats == pytest.approx([-value for _, value in expected], rel=1e-4)


def test_the_loss_of_a_bfloat16_model_is_not_rounded_to_bfloat16(field):
    from lm_eval.models.huggingface import HFLM

    (text,) = general_texts(field, 1)
    texts = [" ".join([text] * 2), text, text[:40]]
    lm = HFLM(pretrained=str(field / "base"), dtype="bfloat16", device="cpu", batch_size=1)
    nats, tokens = log_likelihoods(lm, texts)
    expected = log_p(field / "base", texts, "bfloat16")
    assert tokens == tuple(count for count, _ in expected)
    # A sum in bfloat16 keeps 8 bits: off by up to 1 in 256.
    assert nats == pytest.approx([-value for _, value in expected], rel=2e-4)
    (nats_cut,), (tokens_cut,) = log_likelihoods(lm, [" ".join([text] * 9)])
    assert lm.max_length * 0.9 < tokens_cut <= lm.max_length and nats_cut > nats[0]


class OfAnotherBackend:
    """What is known of a model whose logits are out of reach."""

    def __init__(self, lm: Any) -> None:
        self._lm = lm

    def __getattr__(self, name: str) -> Any:
        if name not in {"tok_encode", "prefix_token_id", "max_length", "loglikelihood"}:
            raise AttributeError(name)
        return getattr(self._lm, name)


@pytest.mark.parametrize("batch_size", [1, 2, "auto"])
def test_the_loss_is_what_lm_evals_own_requests_tell(field, batch_size):
    from lm_eval.models.huggingface import HFLM

    texts = general_texts(field, 5)
    lm = HFLM(
        pretrained=str(field / "base"), dtype="bfloat16", device="cpu", batch_size=batch_size,
        softmax_dtype="float32", max_batch_size=4,
    )  # fmt: skip
    told: list[tuple[int, int]] = []
    nats, tokens = log_likelihoods(lm, texts, lambda *count: told.append(count))
    theirs, tokens_there = log_likelihoods(OfAnotherBackend(lm), texts)
    assert tokens == tokens_there and len(set(tokens)) > 1
    assert nats == pytest.approx(theirs, rel=1e-6)
    size = 4 if batch_size == "auto" else batch_size
    assert told == [(min(start + size, 5), 5) for start in range(0, 5, size)]


def test_what_another_backend_weighs_leaves_room_for_the_first_token_and_one_to_come(field):
    from lm_eval.models.huggingface import HFLM

    (text,) = general_texts(field, 1)
    lm = HFLM(pretrained=str(field / "base"), device="cpu", batch_size=1)
    _, (tokens,) = log_likelihoods(OfAnotherBackend(lm), [" ".join([text] * 9)])
    assert lm.max_length * 0.9 < tokens <= lm.max_length - 2


@pytest.mark.parametrize("passes", [True, False])
def test_a_model_that_is_asked_to_think_weighs_raw_text_as_one_that_is_not(field, monkeypatch, passes):
    from lm_eval.models.huggingface import HFLM

    texts = general_texts(field, 2)
    asked = {"pretrained": str(field / "base"), "device": "cpu", "batch_size": 1}
    plain = log_likelihoods(HFLM(**asked), texts)
    monkeypatch.setattr(likelihoods, "_gives_logits", lambda _: passes)  # not of vLLM
    lm = HFLM(**asked, enable_thinking=True, think_end_token="</think>")
    nats, tokens = log_likelihoods(lm, texts)
    assert tokens == plain[1] and nats == pytest.approx(plain[0], rel=1e-6)
    assert lm.enable_thinking  # for the problems


def test_losses_that_are_no_numbers_are_told_in_one_line():
    require_numbers("prose", (1.0, 0.0))
    told = r"^the loss on 2 of 3 documents of prose is no number: .* dtype that is too narrow for it$"
    with pytest.raises(ModelError, match=told):
        require_numbers("prose", (float("nan"), 1.0, float("inf")))
