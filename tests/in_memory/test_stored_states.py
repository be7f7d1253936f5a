"""Passes that begin at a later layer give the plain way's logits to the last bit, or the plain way is gone."""

import errno
import logging
import os

import pytest
import torch
from transformers import AutoModelForCausalLM

from sae_merge_method.in_memory import kept_tensors
from sae_merge_method.in_memory.stored_states import StoredStates
from tests import tiny
from tests.in_memory.models import llama

BATCHES = [torch.arange(6, 6 + 2 * length).reshape(2, length) % 26 for length in (40, 7, 3)]


def gemma(folder):
    return tiny.gemma3_text(folder, 0)  # of whose layers some see a window alone


class Scene:
    """A loaded model, the states kept of it, and how often each block has computed anything."""

    def __init__(self, folder, make, dtype):
        self.model = AutoModelForCausalLM.from_pretrained(make(folder / "base"), dtype=dtype)
        self.blocks = self.model.get_decoder().layers
        self.folder = folder
        self.states = StoredStates(self.model.get_decoder(), self.blocks, folder)
        self.computed = [0] * len(self.blocks)
        for layer, block in enumerate(self.blocks):
            block.mlp.register_forward_hook(lambda *_, layer=layer: self._count(layer))

    def _count(self, layer):
        self.computed[layer] += 1

    def forward(self, ids):
        with torch.no_grad():
            return self.model(ids).logits

    def edited(self, layer):
        """Logits with one layer edited, by the plain way and by the states."""
        weight = self.blocks[layer].mlp.up_proj.weight.data
        before = weight.clone()
        with self.states.beginning_at(layer, self.forward):
            weight += 0.5
            plain = [self.forward(ids) for ids in BATCHES]
            self.computed = [0] * len(self.blocks)
            through = [self.states.run(self.forward, ids) for ids in BATCHES]
            weight.copy_(before)
        return plain, through


@pytest.fixture(params=[(gemma, "float32"), (llama, "bfloat16")], ids=["gemma", "llama"])
def scene(request, tmp_path):
    scene = Scene(tmp_path, *request.param)
    for ids in BATCHES:
        assert scene.states.run(scene.forward, ids).equal(scene.forward(ids))
    return scene


def require_same(plain, through):
    assert all(tiny.same_bytes(one, other) for one, other in zip(plain, through, strict=True))


@pytest.mark.parametrize("layers", [(0, 1, 2), (2, 1, 2)])
def test_edits_begin_at_their_first_layer_in_any_order(scene, layers):
    for layer in layers:
        require_same(*scene.edited(layer))
        assert scene.computed[:layer] == [0] * layer
        assert set(scene.computed[layer:]) == {len(BATCHES)}


def test_what_is_kept_is_handed_on_where_the_blocks_lie(scene):
    """As on a GPU, under ids that lie in the machine's own memory."""
    with scene.states.beginning_at(2, scene.forward):
        scene.model.to("meta")
        handed = scene.states.run(lambda ids: scene.blocks[1](ids), BATCHES[0])
    states = handed[0] if isinstance(handed, tuple) else handed
    assert (states.device.type, states.shape[:2]) == ("meta", BATCHES[0].shape)


def test_states_are_run_on_from_where_they_are(scene):
    scene.edited(2)
    scene.edited(1)
    scene.computed = [0] * len(scene.blocks)
    with scene.states.beginning_at(2, scene.forward):
        assert scene.computed[:3] == [0, len(BATCHES), 0]


def test_what_memory_cannot_hold_lies_on_the_disk_and_what_no_disk_can_goes_the_plain_way(scene, monkeypatch):
    monkeypatch.setattr(kept_tensors, "free_memory", lambda _: 0)
    scene.states = StoredStates(scene.model.get_decoder(), scene.blocks, scene.folder)
    for ids in BATCHES:
        scene.states.run(scene.forward, ids)
    for layer in (1, 2):
        require_same(*scene.edited(layer))
        assert scene.computed[0] == 0
    assert list(scene.folder.iterdir()) == [scene.folder / "base"]
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr(kept_tensors.shutil, "disk_usage", lambda _: usage)
    scene.states = StoredStates(scene.model.get_decoder(), scene.blocks, scene.folder)
    for ids in BATCHES:
        scene.states.run(scene.forward, ids)
    require_same(*scene.edited(1))
    assert scene.computed[0] == len(BATCHES)


def test_what_only_some_batches_have_room_for_is_kept_of_these(scene, monkeypatch):
    largest = BATCHES[0].numel() * scene.model.config.hidden_size * scene.model.dtype.itemsize
    monkeypatch.setattr(kept_tensors, "free_memory", lambda _: 4 * largest)
    monkeypatch.setattr(kept_tensors.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0}))
    scene.states = StoredStates(scene.model.get_decoder(), scene.blocks, scene.folder)
    for ids in BATCHES:
        scene.states.run(scene.forward, ids)
    for layer in (1, 2, 2):
        require_same(*scene.edited(layer))
        assert scene.computed == [*[len(BATCHES) - 1] * layer, *[len(BATCHES)] * (len(scene.blocks) - layer)]
    scene.computed = [0] * len(scene.blocks)
    with scene.states.beginning_at(2, scene.forward):
        assert not any(scene.computed), "what has no room is not passed for nothing, nor what is there"


def test_processes_beside_one_another_share_the_room(scene, monkeypatch):
    largest = BATCHES[0].numel() * scene.model.config.hidden_size * scene.model.dtype.itemsize
    monkeypatch.setattr(kept_tensors, "free_memory", lambda _: 4 * 2 * largest)
    monkeypatch.setattr(kept_tensors.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0}))
    for sharers, kept in ((2, 1), (3, 2)):  # of three, the two small ones
        scene.states = StoredStates(scene.model.get_decoder(), scene.blocks, scene.folder, sharers)
        for ids in BATCHES:
            scene.states.run(scene.forward, ids)
        require_same(*scene.edited(1))
        assert scene.computed[0] == len(BATCHES) - kept


def test_a_disk_that_others_fill_meanwhile_is_no_error(scene, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kept_tensors, "free_memory", lambda _: 0)
    monkeypatch.setattr(kept_tensors, "write_at", full)
    scene.states = StoredStates(scene.model.get_decoder(), scene.blocks, scene.folder)
    for ids in BATCHES:
        scene.states.run(scene.forward, ids)
    require_same(*scene.edited(1))
    assert scene.computed[0] == len(BATCHES)


# As in Gemma 3n and 4, whose later blocks take keys and values that earlier ones leave behind.
@pytest.mark.parametrize("if_not_there", [(), (0,)], ids=["cannot go on", "other numbers"])
def test_blocks_that_take_more_than_states_send_all_passes_the_plain_way(scene, caplog, if_not_there):
    caplog.set_level(logging.INFO, "sae_merge_method")
    shared = {}
    own = scene.blocks[2].mlp.forward
    scene.blocks[0].mlp.register_forward_hook(lambda _m, _i, output: shared.update(put=output))
    scene.blocks[2].mlp.forward = lambda states: own(states) + shared.pop("put", *if_not_there)
    require_same(*scene.edited(2))
    assert scene.computed[0] == len(BATCHES)
    assert "passes cannot begin at layer 2: it takes more than what is put out before it" in caplog.messages


def test_what_blocks_leave_in_the_model_itself_is_found_out_at_every_layer(scene):
    left = {}
    own = scene.blocks[2].mlp.forward
    scene.blocks[0].mlp.register_forward_hook(lambda _m, _i, output: left.update(put=output))
    scene.blocks[2].mlp.forward = lambda states: own(states) + left["put"][: len(states), : states.shape[1]]
    for layer in (1, 2):
        require_same(*scene.edited(layer))
        assert scene.computed[0] == len(BATCHES)


def caches(scene):
    """Whether each pass from now on has filled a cache."""
    filled = []
    scene.model.get_decoder().register_forward_hook(
        lambda _module, _args, output: filled.append(output.past_key_values is not None)
    )
    return filled


def test_passes_that_begin_later_fill_no_cache(scene):
    filled = caches(scene)
    require_same(*scene.edited(1))
    assert filled[-len(BATCHES) :] == [False] * len(BATCHES)
    scene.forward(BATCHES[0])
    assert filled[-1]


@pytest.mark.parametrize("fails", [False, True], ids=["other numbers", "cannot go on"])
def test_a_model_that_is_another_without_a_cache_has_one(scene, fails):
    def moved_without(_block, args, kwargs):
        if kwargs.get("past_key_values") is not None:
            return None
        if fails:
            raise ValueError("no cache")
        return (args[0] + 1, *args[1:]), kwargs

    scene.blocks[2].register_forward_pre_hook(moved_without, with_kwargs=True)
    filled = caches(scene)
    require_same(*scene.edited(1))
    assert scene.computed[0] == 0
    assert filled[-len(BATCHES) :] == [True] * len(BATCHES)


def test_the_model_s_own_blocks_are_back_afterwards(scene):
    own = [block.forward for block in scene.blocks]
    scene.edited(2)
    assert [block.forward for block in scene.blocks] == own
    assert not any("forward" in vars(block) for block in scene.blocks)
