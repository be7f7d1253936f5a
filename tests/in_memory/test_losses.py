"""A document's nats are those that lm-eval tells of it."""

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.in_memory.losses import after_first_token, nats, total_nats
from sae_merge_method.models.text_model import load_text_model
from tests.in_memory.models import TEXTS, documents_of, llama


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_text_model(str(llama(tmp_path_factory.mktemp("llama") / "base")), with_head=True)


def test_a_documents_nats_are_lm_evals(model):
    from lm_eval.models.huggingface import HFLM

    from sae_merge_method.experiment.likelihoods import log_likelihoods

    lm = HFLM(pretrained=model.causal, tokenizer=model.tokenizer, device="cpu", batch_size=1)
    theirs, tokens = log_likelihoods(lm, TEXTS)
    documents = documents_of(model.tokenizer, TEXTS, frozenset({0, 1, 2}))
    assert [int(document.counted.sum()) for document in documents] == list(tokens)
    ours = total_nats(model, list(make_batches(documents, 16)))
    assert [ours[nth] for nth in range(len(TEXTS))] == pytest.approx(theirs, abs=1e-4)


def test_only_the_tokens_that_count_are_predicted(model):
    ids = np.array([2, 6, 7, 8, 9])
    parts = [np.array([False, True, True, False, False]), np.array([False, False, False, True, True])]
    each = [Document(ids, counted) for counted in (*parts, parts[0] | parts[1])]
    answers = total_nats(model, list(make_batches(each, 100)))
    assert answers[0] + answers[1] == pytest.approx(answers[2], abs=1e-4)


def test_a_document_without_a_begin_token_follows_the_end_token():
    class Tokenizer:
        bos_token_id = None
        eos_token_id = 1

    document = Document(np.array([6, 7]), np.array([True, True]), 3)
    following = after_first_token(Tokenizer, document)
    assert following.ids.tolist() == [1, 6, 7]
    assert following.counted.tolist() == [False, True, True]
    assert following.position == 3


def test_what_begins_with_a_special_token_is_left_as_it_is(model):
    document = Document(np.array([2, 6]), np.array([False, True]))
    assert after_first_token(model.tokenizer, document) is document


def test_gradients_are_those_of_the_mean_in_one_batch_or_several(model):
    documents = documents_of(model.tokenizer, TEXTS, frozenset({0, 1, 2}))
    model.causal.requires_grad_(True)
    weight = model.blocks[0].mlp.up_proj.weight
    grads = []
    for size in (1000, 8):
        weight.grad = None
        for batch in make_batches(documents, size):
            nats(model, batch).sum().backward()
        grads.append(weight.grad.clone())
    model.causal.requires_grad_(False)
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)
