"""Damaged weights, and names and links that lead elsewhere: refused before a byte is written."""

import json
import struct
from pathlib import Path

import pytest

from sae_merge_method.errors import SaeMergeError, UsageError
from sae_merge_method.merge.run import merge
from tests.adapters import save_lora
from tests.faults.conftest import KEPT, names, state
from tests.geometry import scenes
from tests.recipes import recipe_text, run_recipe


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def lying_length(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(struct.pack("<Q", struct.unpack("<Q", data[:8])[0] + 64) + data[8:])


def overlapping(file: Path) -> None:
    data = file.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    for entry in entries:
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        entry["data_offsets"] = [0, size]
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize("damage", [truncated, lying_length, overlapping])
@pytest.mark.parametrize("side", ["base", "donor"])
def test_damaged_weights_are_refused_before_a_byte_is_written(work, damage, side):
    before = state(work / "out")
    damage(work / side / "model-00002-of-00002.safetensors")
    with pytest.raises(SaeMergeError, match=rf"{side}/model-00002-of-00002\.safetensors"):
        run_recipe(recipe_text(work / "base", work / "donor"), work / "out", overwrite=True)
    assert state(work / "out") == before
    assert names(work) == KEPT


def test_links_and_dots_never_lead_out_of_the_named_folders(work):
    secret = work / "secret.safetensors"
    shard = work / "donor" / "model-00001-of-00002.safetensors"
    shard.rename(secret)
    shard.symlink_to(secret)
    source = recipe_text(work / "base", work / "donor")
    with pytest.raises(SaeMergeError, match=r"leads to .*secret\.safetensors, outside"):
        run_recipe(source, work / "new")
    shard.unlink()
    secret.rename(shard)
    (work / "base" / "tokenizer.json").symlink_to("/etc/passwd")
    with pytest.raises(SaeMergeError, match="leads to /etc/passwd, outside"):
        run_recipe(source, work / "new")
    (work / "base" / "tokenizer.json").unlink()
    index = work / "donor" / "model.safetensors.index.json"
    text = index.read_text()
    index.write_text(
        text.replace("model-00001-of-00002.safetensors", "../base/model-00001-of-00002.safetensors")
    )
    with pytest.raises(SaeMergeError, match="expected a file name inside"):
        run_recipe(source, work / "new")
    assert not (work / "new").exists()


def test_links_of_a_hub_snapshot_lead_into_its_own_store(work):
    store = work / "models--someone--donor"
    (store / "snapshots" / "0123abcd").mkdir(parents=True)
    (work / "donor").rename(store / "blobs")
    for number, path in enumerate(sorted((store / "blobs").iterdir())):
        blob = path.rename(store / "blobs" / f"{number:064x}")
        (store / "snapshots" / "0123abcd" / path.name).symlink_to(Path("../../blobs") / blob.name)
    source = recipe_text(work / "base", store / "snapshots" / "0123abcd")
    report = run_recipe(source, work / "new")
    assert len(report.edited()) == 26


@pytest.mark.parametrize("out", ["base", "donor", "."])
def test_overwrite_never_takes_away_what_the_recipe_reads(work, out):
    before = state(work)
    with pytest.raises(SaeMergeError, match="which the recipe reads"):
        run_recipe(recipe_text(work / "base", work / "donor"), work / out, overwrite=True)
    assert state(work) == before


READS = ("base", "donor", "lora", "diagnosis", "saes", "saes/layer_1", "recipes", ".")


@pytest.fixture
def scalpel(tmp_path):
    """All that a recipe can name, in a folder of its own each: the file of a scalpel with a LoRA donor."""
    scene = scenes.build(tmp_path)
    lora = save_lora(tmp_path / "lora", (1, 3))
    gate = f'layers: "1, 3", diagnosis: "{scene.diagnosis}", rank: 4'
    text = recipe_text(scene.base, Path(f"{scene.donor}+{lora}"), gate)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/r.yml").write_text(text.replace("sae_stethoscope", "sae_scalpel"))
    return tmp_path / "recipes/r.yml"


@pytest.mark.parametrize("out", READS)
def test_overwrite_never_takes_away_an_adapter_scores_saes_or_the_recipe_itself(tmp_path, scalpel, out):
    before = state(tmp_path)
    with pytest.raises(UsageError, match="which the recipe reads"):
        merge(scalpel, tmp_path / out, overwrite=True, options={"quiet": True})
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    "named",
    [
        {"gate": 'diagnosis: "{}", select: top_k=2'},
        {"tail": "sae_evidence: {{path: {}/diagnosis.json}}\n"},
    ],
)
def test_overwrite_never_takes_away_the_scores_that_the_layers_were_chosen_from(tmp_path, named):
    scene = scenes.build(tmp_path)
    given = {key: value.format(scene.diagnosis) for key, value in named.items()}
    with pytest.raises(UsageError, match="which the recipe reads"):
        run_recipe(recipe_text(scene.base, scene.donor, **given), scene.diagnosis, overwrite=True)
    assert (scene.diagnosis / "diagnosis.json").exists()


def test_a_merges_own_copy_of_its_recipe_may_be_merged_again_in_its_place(work):
    run_recipe(recipe_text(work / "base", work / "donor"), work / "out", overwrite=True)
    copy, before = work / "out/mergekit_config.yml", state(work / "out")
    merge(copy, work / "out", overwrite=True, options={"quiet": True})
    assert state(work / "out") == before
    with pytest.raises(UsageError, match="mergekit_config.yml, which the recipe reads"):
        merge(copy, work / "out", overwrite=True, options={"quiet": True, "write_model_card": False})


def test_an_output_that_is_a_link_keeps_being_one(work):
    (work / "elsewhere").mkdir()
    (work / "link").symlink_to("elsewhere")
    source = recipe_text(work / "base", work / "donor")
    run_recipe(source, work / "link")
    assert (work / "link").is_symlink()
    assert (work / "elsewhere" / "edit_report.json").exists()
    assert names(work) == sorted([*KEPT, "elsewhere", "link"])
