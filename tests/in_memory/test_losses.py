"""A document's nats are those that lm-eval tells of it."""

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.reading import Problem
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.in_memory.losses import _CACHED, nats, token_nats, total_nats
from sae_merge_method.in_memory.texts import to_predict
from sae_merge_method.models.text_model import load_text_model
from tests.in_memory.models import TEXTS, llama


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_text_model(str(llama(tmp_path_factory.mktemp("llama") / "base")), with_head=True)


def test_a_documents_nats_are_lm_evals(model):
    from lm_eval.models.huggingface import HFLM

    from sae_merge_method.experiment.likelihoods import log_likelihoods

    lm = HFLM(pretrained=model.causal, tokenizer=model.tokenizer, device="cpu", batch_size=1)
    theirs, tokens = log_likelihoods(lm, TEXTS)
    documents = to_predict(model.tokenizer, Corpus("texts", "", TEXTS), 64)
    assert [int(document.counted.sum()) for document in documents] == list(tokens)
    ours = total_nats(model, list(make_batches(documents, 16)))
    assert [ours[nth] for nth in range(len(TEXTS))] == pytest.approx(theirs, abs=1e-4)


def test_an_answers_nats_are_lm_evals(model):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    problems = (Problem("m1 m2 ", "p1 c1"), Problem("m3", " m4 m5 m6"), Problem("", "c1 c2"))
    lm = HFLM(pretrained=model.causal, tokenizer=model.tokenizer, device="cpu", batch_size=1)
    asked = [Instance("loglikelihood", {}, tuple(problem), nth) for nth, problem in enumerate(problems)]
    theirs = [-log_p for log_p, _ in lm.loglikelihood(asked)]
    corpus = Corpus("problems", "", tuple("".join(problem) for problem in problems), None, problems)
    ours = total_nats(model, list(make_batches(to_predict(model.tokenizer, corpus, 64), 100)))
    assert [ours[nth] for nth in range(3)] == pytest.approx(theirs, abs=1e-4)


def test_only_the_tokens_that_count_are_predicted(model):
    ids = np.array([2, 6, 7, 8, 9])
    parts = [np.array([False, True, True, False, False]), np.array([False, False, False, True, True])]
    each = [Document(ids, counted) for counted in (*parts, parts[0] | parts[1])]
    answers = total_nats(model, list(make_batches(each, 100)))
    assert answers[0] + answers[1] == pytest.approx(answers[2], abs=1e-4)


def test_gradients_are_those_of_the_mean_in_one_batch_or_several(model):
    documents = to_predict(model.tokenizer, Corpus("texts", "", TEXTS), 64)
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_that_a_processor_takes_at_a_time_are_those_of_the_whole(dtype):
    torch.manual_seed(0)
    logits = (3 * torch.randn(5, _CACHED // 2)).to(dtype).requires_grad_()  # two rows, two rows and one
    following = torch.tensor([3, 1, 4, 1, 5])
    of_rows = token_nats(logits, following)
    (gradient,) = torch.autograd.grad(of_rows.sum(), logits)
    whole = torch.nn.functional.cross_entropy(logits.float(), following, reduction="none")
    (expected,) = torch.autograd.grad(whole.sum(), logits)
    assert torch.equal(of_rows, whole) and torch.equal(gradient, expected)
