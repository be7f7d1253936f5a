"""Damaged weights, and names and links that lead elsewhere: refused before a byte is written."""

import json
import struct
from pathlib import Path

import pytest

from sae_merge_method.errors import SaeMergeError
from tests.faults.conftest import KEPT, names, state
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


def test_an_output_that_is_a_link_keeps_being_one(work):
    (work / "elsewhere").mkdir()
    (work / "link").symlink_to("elsewhere")
    source = recipe_text(work / "base", work / "donor")
    run_recipe(source, work / "link")
    assert (work / "link").is_symlink()
    assert (work / "elsewhere" / "edit_report.json").exists()
    assert names(work) == sorted([*KEPT, "elsewhere", "link"])
