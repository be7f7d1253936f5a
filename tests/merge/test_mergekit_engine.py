"""Both engines write the same files, the same bytes and equal reports."""

import json
import logging
from pathlib import Path

import pytest
import torch

from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.adapters import save_lora
from tests.geometry import scenes
from tests.merge.scalpels import LAYERS, parameters, recipe
from tests.recipes import recipe_text, run_recipe


@pytest.fixture
def furnished(tmp_path: Path) -> Path:
    """A multimodal base with everything that stands beside real weights."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    folder = tiny.gemma3_multimodal(tmp_path / "furnished", 0)
    tokenizer = Tokenizer(WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    for name in ("generation_config.json", "preprocessor_config.json", "special_tokens_map.json"):
        (folder / name).write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "notes.txt").write_text("not part of a checkpoint")
    return folder


def test_both_engines_write_the_same_files_and_configs_that_mean_the_same(tmp_path, furnished):
    from transformers import AutoConfig

    donor = tiny.gemma3_multimodal(tmp_path / "donor", 1)
    reports = {}
    for engine in ("direct", "mergekit"):
        source = recipe_text(furnished, donor)
        reports[engine] = of_tensors(run_recipe(source, tmp_path / engine / "out", engine=engine))
    assert reports["direct"] == reports["mergekit"]
    one, other = tmp_path / "direct" / "out", tmp_path / "mergekit" / "out"
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
    for path in one.iterdir():
        if path.name not in ("config.json", "edit_report.json", "model.safetensors"):
            assert path.read_bytes() == (other / path.name).read_bytes(), path.name
    configs = [AutoConfig.from_pretrained(folder).to_dict() for folder in (one, other)]
    for config in configs:
        config.pop("_name_or_path", None)
    assert configs[0] == configs[1]


@pytest.mark.parametrize("build", [tiny.gemma3_text, tiny.gemma3_multimodal])
@pytest.mark.parametrize("tail", ["", "dtype: float32\n"])
def test_folders_whose_names_hold_mergekits_signs_are_merged_by_both_engines(tmp_path, build, tail):
    work = tmp_path / "jane@corp+sons"
    base = build(work / "base@1", 0, dtype=torch.bfloat16)
    donor = build(work / "donor+math@2", 1, dtype=torch.bfloat16)
    merged = engines_agree(recipe_text(base, donor, tail=tail), work)
    before = tiny.load_tensors(base)
    changed = {name for name in before if not torch.equal(before[name].to(merged[name]), merged[name])}
    assert {decoder_layer(name) for name in changed} == {1, 3}


def test_an_adapter_and_a_renamed_donor_are_merged_in_a_folder_with_mergekits_signs(tmp_path, monkeypatch):
    work = tmp_path / "jane@corp+sons"
    base = tiny.gemma3_text(work / "base@1", 0)
    adapter = save_lora(work / "lora+math", [1, 3])
    engines_agree(recipe_text(base, Path(f"{base}+{adapter}")), work / "whole")
    monkeypatch.chdir(work)
    engines_agree(recipe_text(Path("base@1"), Path("base@1+lora+math")), work / "relative")
    renamed = tiny.gemma3_multimodal(work / "seeing", 1)
    engines_agree(recipe_text(base, renamed), work / "renamed")


def of_tensors(report: EditReport) -> EditReport:
    """The report without the files beside the weights: mergekit writes the config anew."""
    return report.model_copy(update={"beside": ()})


MODES: dict[str, dict[str, object]] = {
    "project": {},
    "reject": {"mode": "reject"},
    "random": {"mode": "random", "seed": 7},
    "hybrid": {"mode": "hybrid", "beta": 0.3, "gamma": -0.6},
    "both whole": {"mode": "hybrid", "energy_match": True},
    "neither": {"mode": "hybrid", "beta": 0.0, "gamma": 0.0},
    "energy match": {"energy_match": True},
    "energy match of the rest": {"mode": "reject", "energy_match": True},
    "previous layer's": {"read_from": "previous"},
    "every direction": {"rank": tiny.D_MODEL},
}


def engines_agree(source: str, folder: Path) -> dict[str, torch.Tensor]:
    """The tensors that both engines write, with equal reports."""
    reports, tensors = [], []
    for engine in ("direct", "mergekit"):
        out = folder / engine
        reports.append(of_tensors(run_recipe(source, out, engine=engine)))
        tensors.append(tiny.load_tensors(out))
    assert reports[0] == reports[1]
    assert tensors[0].keys() == tensors[1].keys()
    assert all(tiny.same_bytes(tensors[0][name], tensors[1][name]) for name in tensors[0])
    return tensors[0]


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16, torch.float64], ids=str)
def scene_of_dtype(request, tmp_path_factory):
    return scenes.build(tmp_path_factory.mktemp("scene"), dtype=request.param)


@pytest.mark.parametrize("given", MODES.values(), ids=MODES)
def test_both_engines_give_the_same_bytes_in_every_mode(tmp_path, caplog, scene_of_dtype, given):
    scene = scene_of_dtype
    with caplog.at_level(logging.WARNING):
        merged = engines_agree(recipe(scene, **parameters(scene, **given)), tmp_path)
    assert "hands over" not in caplog.text
    base = tiny.load_tensors(scene.base)
    changed = {decoder_layer(name) for name in base if not tiny.same_bytes(base[name], merged[name])}
    assert changed == (set() if given.get("gamma") == 0 else {1, 3})


@pytest.mark.parametrize(
    "given", [{"mode": "hybrid", "gamma": 0.5}, {"mode": "random", "energy_match": True}]
)
def test_both_engines_give_the_same_bytes_over_a_multimodal_base(tmp_path, scene, given):
    whole = scene._replace(
        base=tiny.gemma3_multimodal(tmp_path / "base", 0, dtype=torch.bfloat16),
        donor=tiny.gemma3_multimodal(tmp_path / "donor", 1, dtype=torch.bfloat16),
    )
    chosen = {"layers": LAYERS, "sae": scene.saes, "features": "1: 0, 2, 4; 3: 5"}
    merged, base = engines_agree(recipe(whole, **chosen, **given), tmp_path), tiny.load_tensors(whole.base)
    changed = {name for name in base if not tiny.same_bytes(base[name], merged[name])}
    assert {decoder_layer(name) for name in changed} == {1, 3}
    assert not any("vision" in name for name in changed)


def test_a_wider_dtype_is_said_of_every_part_of_a_multimodal_model(tmp_path):
    """mergekit sets the config's top alone, and a loader may cast a part back by what the config says of it."""
    base = tiny.gemma3_multimodal(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor = tiny.gemma3_multimodal(tmp_path / "donor", 1, dtype=torch.bfloat16)
    config = json.loads((base / "config.json").read_text())
    config["text_config"]["torch_dtype"] = config["vision_config"]["torch_dtype"] = "bfloat16"
    (base / "config.json").write_text(json.dumps(config))
    run_recipe(recipe_text(base, donor, tail="dtype: float32\n"), tmp_path / "out")
    written = json.loads((tmp_path / "out/config.json").read_text())
    for part in (written, written["text_config"], written["vision_config"]):
        assert {part[key] for key in ("dtype", "torch_dtype") if key in part} == {"float32"}
    assert {tensor.dtype for tensor in tiny.load_tensors(tmp_path / "out").values()} == {torch.float32}
    assert verify(tmp_path / "out").sound
