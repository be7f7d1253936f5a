"""Whether a checkpoint is whole in itself: names, shards, a config that fits."""

import json
from pathlib import Path

import pytest
import torch

from tests import tiny
from tests.recipes import recipe_text, run_recipe
from tests.verify.conftest import flip_one_bit, rewrite, violations


def test_a_tied_head_may_be_stored_or_not(tmp_path, merged):
    def store_head(tensors: tiny.Tensors) -> None:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()

    out = merged.copy(tmp_path / "out")
    (out / "edit_report.json").unlink()
    assert not violations(rewrite(out, store_head))
    rewrite(out, flip_one_bit("lm_head.weight"))
    assert "the base does not" in violations(out)["lm_head.weight"]


@pytest.mark.parametrize(("family", "head"), [("gpt2", "lm_head.weight"), ("gpt_neox", "embed_out.weight")])
def test_other_families_embeddings_and_heads_are_known_by_their_own_names(tmp_path, family, head):
    base, donor = (saved(tmp_path / name, family, seed) for seed, name in enumerate(("base", "donor")))
    run_recipe(recipe_text(base, donor, 'layers: "1"'), tmp_path / "out")
    (tmp_path / "out/edit_report.json").unlink()
    assert not violations(tmp_path / "out")
    embedding = next(name for name in tiny.load_tensors(base) if "wte" in name or "embed_in" in name)
    rewrite(tmp_path / "out", lambda tensors: tensors.update({head: tensors[embedding].clone()}))
    assert not violations(tmp_path / "out")
    rewrite(tmp_path / "out", lambda tensors: tensors.update({head: tensors[head] + 1}))
    assert "the base does not" in violations(tmp_path / "out")[head]
    config = json.loads((tmp_path / "out/config.json").read_text())
    config["n_embd" if family == "gpt2" else "hidden_size"] = 32
    (tmp_path / "out/config.json").write_text(json.dumps(config))
    assert f"{embedding} has 16" in violations(tmp_path / "out")["config.json"]


def saved(folder: Path, family: str, seed: int) -> Path:
    """A tiny model whose head is its embedding, saved by transformers."""
    import transformers

    sizes = {"vocab_size": 48, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.AutoConfig.for_model(
        family, **sizes, intermediate_size=32, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2
    )
    torch.manual_seed(seed)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
