"""Losses by group are those of every document; single layers are computed from the injected one on."""

import json

import numpy as np
import pytest

from sae_merge_method.attribute.losses import GroupLosses
from sae_merge_method.attribute.run import attributed_beside
from sae_merge_method.attribute.texts import make_text
from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.in_memory.losses import nats, total_nats
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.texts import to_predict
from sae_merge_method.in_memory.weights import by_unit
from sae_merge_method.together.workers import ALONE
from tests.attribute.conftest import settings
from tests.attribute.planted import N_LAYERS

BEGINNING = "m1 m2 m3 m4 m5 m6 m7 m0 m1 m2 m3 m4 "


@pytest.fixture
def problems(tmp_path):
    """Behind one long prompt."""
    file = tmp_path / "problems.jsonl"
    rows = [{"prompt": f"{BEGINNING}p{nth % 8}", "completion": f" m{nth % 8} m1"} for nth in range(9)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def read_alone(model, source):
    """Nats of every document, each in a batch of its own."""
    documents = to_predict(model.tokenizer, read_corpus(source), 64)
    return [float(nats(model, next(make_batches([one], 1000)))[0]) for one in documents]


@pytest.fixture
def opened(ground, planted, problems, tmp_path):
    asked = settings(ground, planted, groups=3, batch_tokens=60)
    with open_edited(ground.base, [planted], beside=tmp_path / "out") as edited:
        corpora = [read_corpus(source) for source in (ground.target, problems)]
        texts = [make_text(corpus, edited.model, asked) for corpus in corpora]
        yield edited, texts, [ground.target, problems]


def test_losses_by_group_are_the_sums_of_every_document_whatever_batch_it_is_in(opened, tmp_path):
    edited, texts, sources = opened
    losses = GroupLosses(edited.model, texts, tmp_path)
    for layer in range(N_LAYERS):
        edited.restore()
        with losses.beginning_at(layer):
            edited.set_weights(by_unit({layer: 1.0}))
            for nth, source in enumerate(sources):
                alone = read_alone(edited.model, source)
                wanted = [sum(alone[group::3]) for group in range(3)]
                assert losses.of(nth) == pytest.approx(wanted, rel=1e-4)


def test_from_the_second_layer_on_only_what_differs_is_computed(opened, tmp_path):
    edited, texts, _ = opened
    computed = np.zeros(N_LAYERS, dtype=int)
    for layer, block in enumerate(edited.model.blocks):

        def count(*_, layer=layer):
            computed[layer] += 1

        block.mlp.register_forward_hook(count)
    losses = GroupLosses(edited.model, texts, tmp_path)
    assert len(texts[0].whole) > 1
    for layer in range(N_LAYERS):
        edited.restore()
        with losses.beginning_at(layer):
            edited.set_weights(by_unit({layer: 1.0}))
            computed[:] = 0
            losses.of(0)
            assert list(computed) == [0] * layer + [len(texts[0].whole)] * (N_LAYERS - layer)


def test_whether_passes_may_begin_at_a_layer_is_tried_on_a_few_tokens_not_on_the_only_batch(opened, tmp_path):
    edited, texts, _ = opened
    losses = GroupLosses(edited.model, texts, tmp_path)
    losses.of(0)
    read = []
    edited.model.blocks[-1].mlp.register_forward_hook(lambda _m, inputs, _o: read.append(inputs[0].shape[:2]))
    with losses.beginning_at(N_LAYERS - 1):
        # One document with a cache and without, a few of its tokens by the plain way and from the layer on.
        assert len(read) == 4
        assert all(rows == 1 for rows, _ in read)
        assert all(tokens <= 16 for _, tokens in read[-2:])


def test_problems_that_begin_alike_pass_once_and_not_through_what_is_kept(opened, tmp_path):
    edited, texts, _ = opened
    losses = GroupLosses(edited.model, texts, tmp_path)
    losses.of(1)
    read = []
    edited.model.blocks[0].register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].shape[:2]))
    losses.of(1)
    rows = [len(batch.documents) for batch in texts[1].whole]
    assert [shape[0] for shape in read] == [one for n in rows for one in (1, n)]
    assert max(width for n, width in read if n > 1) < 8


def test_probes_are_the_losses_of_layers_injected_alone(ground, planted, problems, tmp_path):
    asked = settings(ground, planted, first_order=True, probe=True, groups=3, batch_tokens=60)
    asked = asked.model_copy(update={"target": problems})
    attributed, progress = attributed_beside(asked, tmp_path / "out", ALONE, lambda _: None)
    progress.discard()
    groups = attributed.groups[0]
    with open_edited(ground.base, [planted], beside=tmp_path / "out") as edited:
        documents = to_predict(edited.model.tokenizer, read_corpus(problems), 64)
        for layer in range(N_LAYERS):
            edited.set_weights(by_unit({layer: 1.0}))
            told = total_nats(edited.model, list(make_batches(documents, 1000)))
            wanted = [groups.base[group] - sum(told[nth] for nth in range(group, 9, 3)) for group in range(3)]
            assert groups.probes[:, layer] == pytest.approx(wanted, abs=1e-3)
