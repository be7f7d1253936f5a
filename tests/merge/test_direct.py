"""The direct engine: what it hands over, what it links, and how little it needs."""

import json
import logging
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from sae_merge_method.artifacts.edit_report import read_edit_report
from tests import tiny
from tests.faults import processes
from tests.merge.scalpels import recipe
from tests.recipes import recipe_text, run_recipe


@pytest.mark.parametrize(
    ("tail", "options", "reason"),
    [
        ("dtype: bfloat16", {}, "writing bfloat16 over a float32 base changes every tensor"),
        ("", {"out_shard_size": 2000}, "--out-shard-size is mergekit's"),
    ],
)
def test_what_the_direct_engine_cannot_do_goes_through_mergekit_and_is_said(
    tmp_path, base, donor, caplog, tail, options, reason
):
    with caplog.at_level(logging.WARNING):
        run_recipe(recipe_text(base, donor, tail=tail), tmp_path / "out", options=options)
    assert f"hands over to mergekit: {reason}" in caplog.text
    assert len(read_edit_report(tmp_path / "out").edited()) == 26


def test_untouched_files_are_hard_linked_on_request_and_others_never(tmp_path, donor):
    tensors = tiny.text_tensors(0)
    ordered = dict(sorted(tensors.items(), key=lambda item: "layers.1." in item[0]))
    names = list(ordered)
    base = tiny.save_checkpoint(tmp_path / "base", tiny.text_config(), ordered)
    (base / "model.safetensors").unlink()
    from safetensors.torch import save_file

    parts = {"model-00001-of-00002.safetensors": names[:-13], "model-00002-of-00002.safetensors": names[-13:]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, base / file, metadata={"format": "pt"})
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    run_recipe(recipe_text(base, donor, 'layers: "1"'), tmp_path / "out", link=True)
    linked = {file: (base / file).samefile(tmp_path / "out" / file) for file in parts}
    assert list(linked.values()) == [True, False]
    after = tiny.load_tensors(tmp_path / "out")
    assert {name for name in tensors if not tiny.same_bytes(tensors[name], after[name])} == set(names[-13:])


def test_a_merge_needs_neither_torch_nor_mergekit_and_little_memory(tmp_path, base, donor):
    (tmp_path / "r.yml").write_text(recipe_text(base, donor))
    trouble = "assert not {'torch', 'mergekit', 'transformers', 'safetensors'} & set(sys.modules)"
    done = processes.run(Path(sys.executable), "merge", "r.yml", "out", cwd=tmp_path, trouble=trouble)
    assert done.returncode == 0, done.stderr
    assert "layers 1, 3: 26 of 54 tensors edited, " in done.stdout
    for part in ("bytes, energy ", " s; ", "result "):
        assert part in done.stdout


def test_a_scalpel_merge_needs_neither_torch_nor_mergekit(tmp_path, scene):
    (tmp_path / "r.yml").write_text(recipe(scene))
    trouble = "assert not {'torch', 'mergekit', 'transformers', 'sae_lens'} & set(sys.modules)"
    done = processes.run(Path(sys.executable), "merge", "r.yml", "out", cwd=tmp_path, trouble=trouble)
    assert done.returncode == 0, done.stderr
    assert "layers 1, 3: 26 of 54 tensors edited" in done.stdout


def test_masks_that_only_the_base_holds_stay_as_they_are(tmp_path):
    config = GPT2Config(vocab_size=48, n_embd=16, n_layer=2, n_head=2, n_positions=16)
    for number, name in enumerate(("base", "donor")):
        torch.manual_seed(number)
        GPT2LMHeadModel(config).save_pretrained(tmp_path / name)
    file = tmp_path / "base" / "model.safetensors"
    masks = {f"transformer.h.{layer}.attn.bias": torch.ones(1, 1, 16, 16) for layer in range(2)}
    save_file(load_file(file) | masks, file, metadata={"format": "pt"})
    text = recipe_text(tmp_path / "base", tmp_path / "donor", gate='layers: "0"')
    run_recipe(text, tmp_path / "out")
    before, after = load_file(file), load_file(tmp_path / "out" / "model.safetensors")
    donor = load_file(tmp_path / "donor" / "model.safetensors")
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        edited = ".h.0." in name and name not in masks
        torch.testing.assert_close(tensor, donor[name] if edited else before[name], rtol=0, atol=1e-6)
