"""Texts that begin alike need the plain way's nats, have its gradients, and their beginning passes once."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.in_memory import shared_beginning
from sae_merge_method.in_memory.losses import nats, total_nats
from sae_merge_method.in_memory.shared_beginning import shared_tokens
from sae_merge_method.loaded.text_model import load_text_model
from tests import tiny
from tests.diagnose.hosts import save_tokenizer
from tests.in_memory.models import llama
from tests.layouts.test_twelve_families import FAMILIES, saved

SHARED = 40
"""Tokens: more than Gemma's window here."""
ENDINGS = ([7], [9, 8, 7, 6, 5], [6, 7, 8, 9, 10, 11, 9])
"""Behind them; the last two tokens of each are predicted."""
ONCE = SHARED - 2
"""Tokens that pass once: from the last but one of them the first is predicted."""


def problems(endings=ENDINGS, shared=SHARED, seed=0):
    beginning = np.random.default_rng(seed).integers(4, 26, shared)
    return [
        Document(np.array([*beginning, *ending]), np.arange(shared + len(ending)) >= shared + len(ending) - 2)
        for ending in endings
    ]


def the_batch(documents):
    (batch,) = make_batches(documents, 10_000)
    return batch


def gemma(folder):
    tiny.gemma3_text(folder, 0)
    save_tokenizer(folder)
    return folder


def family(name):
    def make(folder):
        saved(folder, name, 0)
        save_tokenizer(folder)
        return folder

    return make


MAKERS = {"llama": llama, "gemma3_text": gemma, **{name: family(name) for name in FAMILIES}}


def loaded(folder, make):
    """A model whose answers depend on what it reads: small random weights would hide any mistake."""
    model = load_text_model(str(make(folder)), with_head=True)
    generator = torch.Generator().manual_seed(0)
    for tensor in model.causal.parameters():
        if tensor.dim() > 1 and make is not llama:
            tensor.data += 0.2 * torch.randn(tensor.shape, generator=generator)
    return model


@pytest.fixture(scope="module", params=MAKERS)
def model(request, tmp_path_factory):
    return loaded(tmp_path_factory.mktemp(request.param) / "base", MAKERS[request.param])


def told(batch, values):
    """By document."""
    return [float(values[batch.documents.index(nth)]) for nth in range(len(batch.documents))]


def test_nats_are_those_of_every_document_alone_in_all_families(model):
    documents = problems()
    batch = the_batch(documents)
    alone, others = (
        [float(nats(model, the_batch([one]))[0]) for one in some] for some in (documents, problems(seed=1))
    )
    assert np.abs(np.subtract(alone, others)).max() > 0.02, "it does not matter what they begin with"
    for share in (False, True, True):
        with torch.no_grad():
            assert told(batch, nats(model, batch, share=share)) == pytest.approx(alone, rel=1e-3, abs=1e-3)
    is_whole = "linear_attention" in (getattr(model.configs[-1], "layer_types", None) or ())
    assert shared_beginning._can_share[model.causal] != is_whole


@pytest.fixture
def watched(tmp_path):
    """A Llama, and how many tokens its first block reads."""
    model = loaded(tmp_path / "base", llama)
    read = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: read.append(tuple(inputs[0].shape[:2])))
    return model, read


def test_what_all_begin_with_passes_once(watched):
    model, read = watched
    batch = the_batch(problems())
    once = [(1, ONCE), (3, batch.ids.shape[1] - ONCE)]
    total_nats(model, [batch])
    assert read == [batch.ids.shape, *once, *once]  # first it is tried
    read.clear()
    total_nats(model, [batch])
    assert read == once
    read.clear()
    nats(model, batch)
    assert read == [batch.ids.shape]


def test_gradients_go_through_what_passes_once(watched):
    model, read = watched
    batch = the_batch(problems())
    grads = []
    for share in (False, True):
        model.causal.requires_grad_(True)
        read.clear()
        nats(model, batch, share=share).sum().backward()
        grads.append({name: one.grad.clone() for name, one in model.causal.named_parameters()})
        model.causal.zero_grad()
    assert read[-1] == (3, batch.ids.shape[1] - ONCE)
    for name, plain in grads[0].items():
        torch.testing.assert_close(grads[1][name], plain, rtol=1e-3, atol=1e-4)


def test_a_model_that_keeps_more_than_keys_and_values_goes_the_plain_way(watched, caplog):
    model, read = watched
    caplog.set_level(logging.INFO, "sae_merge_method")
    own = model.blocks[1].mlp.forward
    # What a document's tokens before this one left behind, beside keys and values.
    model.blocks[1].mlp.forward = lambda states: own(states.cumsum(1))
    batch = the_batch(problems())
    plain = nats(model, batch)
    read.clear()
    with torch.no_grad():
        for _ in range(2):
            assert nats(model, batch, share=True).equal(plain.detach())
    assert len(read) == 5  # whole, in two passes to try it, whole, whole
    assert "texts that begin alike pass whole: by their beginning passed once" in caplog.text


def test_in_16_bits_other_roundings_are_no_other_nats(tmp_path):
    base = llama(tmp_path / "base", dtype="bfloat16")
    model = load_text_model(str(base), with_head=True, dtype="bfloat16")
    batch = the_batch(problems())
    with torch.no_grad():
        plain, shared = nats(model, batch), nats(model, batch, share=True)
    assert shared_beginning._can_share[model.causal]
    assert shared.tolist() == pytest.approx(plain.tolist(), rel=5e-2)
    assert plain.dtype == torch.float32 != model.causal.dtype


def test_a_model_that_takes_no_cache_goes_the_plain_way(watched, caplog):
    model, _ = watched
    caplog.set_level(logging.INFO, "sae_merge_method")
    plain = model.causal.forward

    def forward(*, input_ids, logits_to_keep, use_cache, attention_mask=None):
        if use_cache:
            raise ValueError("no cache here")
        return plain(
            input_ids=input_ids, logits_to_keep=logits_to_keep, use_cache=False, attention_mask=attention_mask
        )

    model.causal.forward = forward
    batch = the_batch(problems())
    assert nats(model, batch, share=True).equal(nats(model, batch))
    assert "texts that begin alike pass whole: ValueError: no cache here" in caplog.messages


ROWS = st.lists(
    st.tuples(st.lists(st.integers(4, 6), min_size=2, max_size=12), st.integers(1, 11)),
    min_size=1,
    max_size=4,
)


@given(ROWS, st.lists(st.integers(4, 6), max_size=12))
def test_no_token_that_another_is_predicted_from_is_shared(rows, beginning):
    documents = [
        Document(np.array(beginning + ids), np.arange(len(beginning + ids)) >= min(start, len(ids) - 1))
        for ids, start in rows
    ]
    batch = the_batch(documents)
    shared = shared_tokens(batch)
    if shared:
        assert {tuple(one.ids[:shared]) for one in documents} == {tuple(documents[0].ids[:shared])}
        assert shared <= min(int(one.counted.argmax()) for one in documents) - 1
        assert 4 * (len(documents) - 1) * shared >= batch.ids.size


def test_few_shared_tokens_or_one_document_are_not_worth_it():
    assert shared_tokens(the_batch(problems())) == ONCE
    assert shared_tokens(the_batch(problems(ENDINGS[:1]))) == 0
    assert shared_tokens(the_batch(problems([[7] * 20, [8] * 20], shared=6))) == 0


def test_a_batch_without_a_counted_token_shares_nothing():
    ids = np.full((3, 8), 5)
    nothing = Batch((0, 1, 2), ids, np.ones_like(ids, dtype=bool), np.zeros_like(ids, dtype=bool), np.zeros(0, np.uint8))  # fmt: skip
    assert shared_tokens(nothing) == 0
