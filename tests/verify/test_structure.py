"""Whether a checkpoint is whole in itself: names, shards, a config that fits."""

import json
from pathlib import Path

import pytest
import torch

from sae_merge_method.verify.audit import verify
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


FURTHER = {"eh_proj": (16, 32), "enorm": (16,), "hnorm": (16,), "shared_head.head": (48, 16)}


def with_further(folder: Path, seed: int, n_layers: int = tiny.N_LAYERS + 1) -> Path:
    """A model in the form of GLM-4.5's and DeepSeek-V3's: layers of another kind stand behind its own."""
    tensors = tiny.text_tensors(seed, n_layers=n_layers)
    for layer in range(tiny.N_LAYERS, n_layers):
        for name, shape in FURTHER.items():
            tensors[f"model.layers.{layer}.{name}.weight"] = torch.ones(shape)
        tensors[f"model.layers.{layer}.embed_tokens.weight"] = tensors["model.embed_tokens.weight"].clone()
    return tiny.save_checkpoint(folder, tiny.text_config() | {"num_nextn_predict_layers": 1}, tensors)


def test_layers_that_predict_further_tokens_stand_behind_the_stated_ones(tmp_path):
    base, donor = (with_further(tmp_path / name, seed) for seed, name in enumerate(("base", "donor")))
    run_recipe(recipe_text(base, donor), tmp_path / "out")
    report = verify(tmp_path / "out")
    assert report.sound
    assert "config.json fits the tensors" in report.proved
    assert report.n_layers == tiny.N_LAYERS


@pytest.mark.parametrize(
    ("n_layers", "stated", "lost", "fault"),
    [
        (5, None, None, "says 4 layers, the tensors have 5"),
        (6, 1, None, "says 4 layers and 1 behind them (num_nextn_predict_layers), the tensors have 6"),
        (5, 1, 2, "says 4 layers and 1 behind them (num_nextn_predict_layers), the tensors have 4"),
    ],
)
def test_no_more_of_them_than_the_config_states_and_none_of_the_others_less(
    tmp_path, n_layers, stated, lost, fault
):
    base, donor = (with_further(tmp_path / str(seed), seed, n_layers) for seed in (0, 1))
    run_recipe(recipe_text(base, donor), tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text()) | {"num_nextn_predict_layers": stated}
    (tmp_path / "out/config.json").write_text(json.dumps(config))
    if lost is not None:
        rewrite(
            tmp_path / "out",
            lambda tensors: [tensors.pop(name) for name in list(tensors) if f"layers.{lost}." in name],
        )
    assert violations(tmp_path / "out")["config.json"].startswith(fault)
