"""Families are rows of one table, and everything that depends on a family reads the table."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sae_merge_method.corpora.tokens import special_token_ids
from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.loaded import text_model
from sae_merge_method.loaded.sites import Site, named_site
from sae_merge_method.models import families
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.families import FAMILIES, family_of, vocabulary
from sae_merge_method.models.family import AxisRule, Family, ResidualAxis, Sizes
from sae_merge_method.models.residual_axes import residual_axis
from sae_merge_method.models.tensor_names import common_name, decoder_layer, describe_layout, layer_part
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.geometry import scenes
from tests.recipes import recipe_text, run_recipe


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_row_speaks_of_models_that_transformers_has(family: Family) -> None:
    from transformers import AutoConfig, AutoModel

    for model_type in family.model_types:
        config = AutoConfig.for_model(model_type)
        assert family_of(config.model_type) is family
        assert {family.sizes.layers, family.sizes.width} <= config.to_dict().keys(), model_type
    config = AutoConfig.for_model(family.model_types[0])
    with torch.device("meta"):
        decoder = AutoModel.from_config(config)
    assert len(getattr(decoder, family.block_list)) == getattr(config, family.sizes.layers)
    inside = [name for name in decoder.state_dict() if name.startswith(f"{family.block_list}.1.")]
    assert {decoder_layer(name) for name in inside} == {1}
    beside = {name.partition(".")[0] for name in decoder.state_dict()} - {family.block_list}
    assert beside == set(family.outside)
    for module in beside:
        layouts = {prefix.removesuffix(family.block_list) for prefix in family.prefixes}
        assert len({common_name(f"{decoder}{module}.weight") for decoder in layouts}) == 1


def test_no_two_rows_differ_over_a_name_but_the_first_counts_where_they_do() -> None:
    patterns = [rule.pattern for rule in vocabulary().axes]
    assert len(patterns) == len(set(patterns))
    assert vocabulary().layer_counts == ("num_hidden_layers", "n_layer", "num_layers")
    assert vocabulary().widths == ("hidden_size", "n_embd")


def test_a_type_in_no_row_is_read_by_the_names_it_shares() -> None:
    assert family_of("smollm3") is None
    assert decoder_layer("model.layers.3.mlp.up_proj.weight") == 3
    assert residual_axis("model.layers.3.mlp.up_proj.weight") == ResidualAxis(1, "read")


def test_models_of_other_widths_are_told_apart_by_their_familys_own_keys(tmp_path: Path) -> None:
    sizes = {"model_type": "gpt2", "n_layer": 1, "n_embd": 4, "n_head": 2}
    tensors = {"h.0.ln_1.weight": torch.ones(4)}
    base = tiny.save_checkpoint(tmp_path / "base", sizes, tensors)
    donor = tiny.save_checkpoint(tmp_path / "donor", sizes | {"n_head": 1}, tensors)
    assert (open_checkpoint(base).n_layers, open_checkpoint(base).d_model) == (1, 4)
    with pytest.raises(MergeError, match="n_head is 2 in the base"):
        run_recipe(recipe_text(base, donor, 'layers: "0"'), tmp_path / "out")


D = tiny.D_MODEL
READS, WRITES, INSIDE = ResidualAxis(1, "read"), ResidualAxis(0, "write"), ResidualAxis(None)


@pytest.fixture
def tower(monkeypatch: pytest.MonkeyPatch) -> Family:
    """A family that nobody has heard of."""
    row = Family(
        "Tower",
        ("tower",),
        ("tower.floors",),
        (AxisRule("in.weight", READS), AxisRule("out.weight", WRITES), AxisRule("gain", INSIDE)),
        Sizes("n_floors", "breadth", ("n_rooms",)),
        block_list="floors",
        turn_markers=("<knock>",),
        special_ids=("door_id",),
        overflows_float16=True,
    )
    monkeypatch.setitem(families.FAMILIES, row.name, row)
    return row


def save_tower(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    floor = {"in.weight": (24, D), "out.weight": (D, 24), "gain": (3,), "odd.weight": (D, D)}
    tensors = {
        f"tower.floors.{layer}.{part}": torch.randn(shape)
        for layer in range(4)
        for part, shape in floor.items()
    }
    config = {"model_type": "tower", "n_floors": 4, "breadth": D, "n_rooms": 2}
    return tiny.save_checkpoint(folder, config, tensors | {"tower.basement.weight": torch.randn(D)})


def test_a_new_familys_layers_axes_and_tokens_are_known_by_its_row_alone(tower: Family) -> None:
    name = "tower.floors.2.out.weight"
    assert layer_part(name) == (2, "out.weight") and common_name(name) == name
    assert describe_layout([name]) == "tower.floors.N, text only"
    assert residual_axis(name) == WRITES and residual_axis("tower.floors.2.odd.weight") is None
    assert named_site("tower.floors.2.output") == Site(2)
    tokenizer = SimpleNamespace(
        all_special_ids=[0],
        added_tokens_decoder={5: SimpleNamespace(special=False, content="<knock>")},
    )
    assert special_token_ids(tokenizer, SimpleNamespace(door_id=7)) == {0, 5, 7}
    blocks = [object(), object()]
    assert text_model.find_blocks("m", SimpleNamespace(floors=blocks), 2) is blocks
    with pytest.raises(ModelError, match="float16 overflows on Tower"):
        text_model._check_dtype("m", torch.float16, "tower")


def test_a_new_family_is_merged_by_both_methods_and_verified(
    tmp_path: Path, tower: Family, caplog: pytest.LogCaptureFixture
) -> None:
    base, donor = save_tower(tmp_path / "base", 0), save_tower(tmp_path / "donor", 1)
    checkpoint = open_checkpoint(base)
    assert (checkpoint.n_layers, checkpoint.d_model) == (4, D)
    before, other = tiny.load_tensors(base), tiny.load_tensors(donor)
    run_recipe(recipe_text(base, donor, 'layers: "1"'), tmp_path / "raw")
    after = tiny.load_tensors(tmp_path / "raw")
    for name in before:
        wanted = (
            before[name] + 1.0 * (other[name] - before[name]) if decoder_layer(name) == 1 else before[name]
        )
        assert torch.equal(after[name], wanted), name
    assert verify(tmp_path / "raw").sound
    scenes.save_sae(tmp_path / "saes/1", 1, scenes.random_decoder(1))
    config = json.loads((tmp_path / "saes/1/cfg.json").read_text())
    config["metadata"]["hook_name"] = "tower.floors.1"
    (tmp_path / "saes/1/cfg.json").write_text(json.dumps(config))
    gate = f'layers: "1", sae: "{tmp_path}/saes/{{layer}}", features: "0, 1"'
    text = recipe_text(base, donor, gate).replace("sae_stethoscope", "sae_scalpel")
    run_recipe(text, tmp_path / "cut")
    cut = tiny.load_tensors(tmp_path / "cut")
    moved = {name for name in before if not torch.equal(cut[name], before[name])}
    assert moved == {"tower.floors.1.in.weight", "tower.floors.1.out.weight"}
    assert (
        torch.linalg.matrix_rank(
            (cut["tower.floors.1.out.weight"] - before["tower.floors.1.out.weight"]), tol=1e-3
        )
        == 2
    )
    assert "odd.weight is left out and stays the base's" in caplog.text


def test_names_that_mattered_keep_their_meaning() -> None:
    """Of the 73,000 names that the table was held against when it took a regular expression's place."""
    for name, part, common in (
        ("model.layers.9.mlp.up_proj.weight", (9, "mlp.up_proj.weight"), "model.layers.9.mlp.up_proj.weight"),
        (
            "layers.9.input_layernorm.weight",
            (9, "input_layernorm.weight"),
            "model.layers.9.input_layernorm.weight",
        ),
        ("language_model.layers.9.a", (9, "a"), "model.layers.9.a"),
        ("language_model.model.layers.9.a", (9, "a"), "model.layers.9.a"),
        ("model.language_model.layers.9.a", (9, "a"), "model.layers.9.a"),
        ("h.9.ln_1.weight", (9, "ln_1.weight"), "h.9.ln_1.weight"),
        ("transformer.h.9.ln_1.weight", (9, "ln_1.weight"), "transformer.h.9.ln_1.weight"),
        ("gpt_neox.layers.9.a", (9, "a"), "gpt_neox.layers.9.a"),
        ("model.layers.123456.a", (123456, "a"), "model.layers.123456.a"),
        ("model.layers.1234567.a", None, "model.layers.1234567.a"),
        ("model.layers.\u0663.a", None, "model.layers.\u0663.a"),
        ("model.layersX.9.a", None, "model.layersX.9.a"),
        ("modelXlayers.9.a", None, "modelXlayers.9.a"),
        ("model.layers.9.", None, "model.layers.9."),
        ("decoder.model.layers.9.a", None, "decoder.model.layers.9.a"),
        ("model.vision_tower.vision_model.encoder.layers.9.a", None, "vision_tower.encoder.layers.9.a"),
        ("norm.weight", None, "model.norm.weight"),
        ("language_model.norm.weight", None, "model.norm.weight"),
        ("language_model.model.embed_tokens.weight", None, "model.embed_tokens.weight"),
        ("wte.weight", None, "transformer.wte.weight"),
        ("transformer.ln_f.bias", None, "transformer.ln_f.bias"),
        ("embed_in.weight", None, "gpt_neox.embed_in.weight"),
        ("gpt_neox.final_layer_norm.bias", None, "gpt_neox.final_layer_norm.bias"),
        ("transformer.word_embeddings.weight", None, "transformer.word_embeddings.weight"),
        ("normal.weight", None, "normal.weight"),
    ):
        assert layer_part(name) == part, name
        assert common_name(name) == common, name
