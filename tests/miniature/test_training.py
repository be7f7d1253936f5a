"""Training: deterministic, on the parameters it should, however many threads share a batch."""

import multiprocessing.resource_tracker
import multiprocessing.spawn
import os
import shutil

import pytest
import torch

from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.miniature.build import build, make_base
from sae_merge_method.miniature.training import Example, Schedule, batches, next_token_loss, train
from sae_merge_method.models.tensor_names import decoder_layer
from tests.tiny import load_tensors


def test_the_same_settings_train_the_same_base_and_donor_byte_for_byte(
    tiny_miniature, tiny_settings, tmp_path, warm_python, monkeypatch
):
    (tmp_path / "base").mkdir()
    make_base(tiny_settings, tiny_miniature.texts, tmp_path / "base")
    # The donor in a process of its own, where the tests' miniature was made in one.
    for part in (tiny_miniature.texts, tiny_miniature.base, tiny_miniature.saes):
        shutil.copytree(part, tmp_path / "cache" / part.name)
    multiprocessing.resource_tracker.ensure_running()  # not by a warm interpreter: it lives as long as we
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", os.fsencode(warm_python))
    apart = build(tiny_settings, tmp_path / "cache", processes=2)
    assert apart.made == ("donor",)
    for again, first in ((tmp_path / "base", tiny_miniature.base), (apart.donor, tiny_miniature.donor)):
        files = {file.name for file in again.iterdir()}
        assert files >= {"model.safetensors", "config.json", "tokenizer.json"}
        assert all(file_sha256(again / file) == file_sha256(first / file) for file in files)


def test_the_task_vector_lives_in_the_layers_only(tiny_miniature):
    base_tensors, donor_tensors = (
        load_tensors(folder) for folder in (tiny_miniature.base, tiny_miniature.donor)
    )
    assert base_tensors.keys() == donor_tensors.keys()
    for name, base in base_tensors.items():
        donor = donor_tensors[name]
        assert torch.equal(base, donor) == (decoder_layer(name) is None), name


def test_the_checkpoints_load_as_gemma_3_text_models(tiny_miniature):
    from transformers import AutoModelForCausalLM, Gemma3ForCausalLM

    for folder in (tiny_miniature.base, tiny_miniature.donor):
        model = AutoModelForCausalLM.from_pretrained(folder)
        assert isinstance(model, Gemma3ForCausalLM)
        assert model.dtype == torch.float32


def test_batches_hold_every_example_once_and_little_padding():
    examples = [Example(tuple(range(10 + index % 40)), 1) for index in range(500)]
    made = batches(examples, 32, seed=0)
    assert sorted(len(e.ids) for batch in made for e in batch) == sorted(len(e.ids) for e in examples)
    padded = sum(len(batch) * max(len(e.ids) for e in batch) for batch in made)
    assert padded < 1.15 * sum(len(e.ids) for e in examples)
    assert made == batches(examples, 32, seed=0) != batches(examples, 32, seed=1)


EXAMPLES = [
    Example(tuple(1 + (index * step) % 60 for step in range(3 + index % 7)), 2) for index in range(33)
]
"""The last batch of 32 has one alone, which cannot be shared."""


def small_model():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    return LlamaForCausalLM(config)


def trained(parts, workers, *, completion_only=False, rate=1e-2):
    """A small model's parameters after two steps."""
    model = small_model()
    schedule = Schedule(32, rate, 0.05, completion_only, parts=parts)
    train(model, EXAMPLES, schedule, 0, "small", workers=workers)
    return list(model.parameters())


def test_the_threads_that_share_a_batch_leave_no_trace_in_the_bits():
    alone, shared = trained(3, 1), trained(3, 3)
    assert all(torch.equal(one, other) for one, other in zip(alone, shared, strict=True))


@pytest.mark.parametrize("completion_only", [False, True])
def test_the_gradients_of_a_batchs_parts_are_those_of_the_batch(completion_only):
    whole, model = small_model(), small_model()
    next_token_loss(whole, EXAMPLES[:32], completion_only).backward()
    schedule = Schedule(32, 0.0, 0.05, completion_only, parts=3)
    keeping = Keeping(model.parameters())
    train(model, EXAMPLES[:32], schedule, 0, "small", optimizers=[keeping], workers=2)
    for one, gradient in zip(whole.parameters(), keeping.gradients, strict=True):
        torch.testing.assert_close(gradient, one.grad / keeping.clipped(whole), rtol=1e-4, atol=1e-7)


class Keeping(torch.optim.SGD):
    """Moves nothing, and keeps the gradients that it was given."""

    def step(self, closure=None):
        self.gradients = [one.grad.clone() for group in self.param_groups for one in group["params"]]

    @staticmethod
    def clipped(model):
        """What training divides gradients by, to bring their norm to 1 where it is above."""
        return max(1.0, torch.cat([one.grad.flatten() for one in model.parameters()]).norm().item())
