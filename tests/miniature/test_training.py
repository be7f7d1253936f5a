"""Training: deterministic, on the parameters it should, with an optimizer that equals PyTorch's own."""

import multiprocessing.resource_tracker
import multiprocessing.spawn
import os
import shutil

import torch

from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.miniature.build import build, make_base
from sae_merge_method.miniature.training import Example, StackedMuon, batches, orthogonalise
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


def test_stacked_muon_moves_as_torch_muon_does():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(24, 48)) for _ in range(3)] + [
        torch.nn.Parameter(torch.randn(48, 24))
    ]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    start = [matrix.detach().clone() for matrix in ours]
    stacked = StackedMuon(ours, lr=1e-2)
    torch_muon = torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        stacked.step()
        torch_muon.step()
    for one, other, before in zip(ours, theirs, start, strict=True):
        # PyTorch's products are bfloat16: three decimal digits.
        assert (one - other).norm() < 0.02 * (other - before).norm()


def test_orthogonalised_matrices_have_singular_values_near_one():
    stack = torch.randn(5, 16, 40, generator=torch.Generator().manual_seed(0))
    sizes = torch.linalg.svdvals(orthogonalise(stack))
    assert sizes.min() > 0.4 and sizes.max() < 1.4
