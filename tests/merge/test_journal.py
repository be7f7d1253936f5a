"""The journal gives back only what it took, and only where it was taken."""

import json
from pathlib import Path

import pytest

from sae_merge_method.errors import ArtifactError, MergeError
from sae_merge_method.merge.undo import undo
from sae_merge_method.models.checkpoint import open_checkpoint
from tests.merge.edited_in_place import edit, sharded_base, state
from tests.recipes import recipe_text


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return sharded_base(tmp_path)


@pytest.fixture
def recipe(base: Path, donor: Path) -> str:
    return recipe_text(base, donor, weight="0.5")


def test_undo_refuses_what_somebody_changed_since_and_a_damaged_journal(base, recipe):
    edit(recipe)
    entry = open_checkpoint(base).tensors["model.layers.1.mlp.up_proj.weight"]
    with entry.file.open("r+b") as stream:
        stream.seek(entry.start)
        stream.write(b"mine")
    changed = state(base)
    with pytest.raises(
        MergeError, match=r"model\.layers\.1\.mlp\.up_proj\.weight was changed after the edit"
    ):
        undo(base)
    originals = base / ".sae-merge-journal" / "originals.bin"
    originals.write_bytes(b"x" + originals.read_bytes()[1:])
    with pytest.raises(MergeError, match="damaged: .* cannot be restored"):
        undo(base)
    originals.write_bytes(changed[".sae-merge-journal/originals.bin"])
    assert state(base) == changed


def test_a_journal_cannot_lead_out_of_its_folder(tmp_path, base, recipe):
    edit(recipe)
    file = base / ".sae-merge-journal" / "journal.json"
    record = json.loads(file.read_text())
    record["tensors"][0]["file"] = "../donor/model.safetensors"
    file.write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match=r"tensors\.0\.file"):
        undo(base)
    record["tensors"][0]["file"] = "model-00001-of-00002.safetensors"
    record["replaced"][0]["name"] = "../donor/config.json"
    file.write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match="replaced"):
        undo(base)


JOURNAL = ".sae-merge-journal"


def journal_record(base: Path) -> dict:
    return json.loads((base / JOURNAL / "journal.json").read_text())


@pytest.mark.parametrize(
    "name",
    ["model-00001-of-00002.safetensors", "README.md", "config.json", f"{JOURNAL}/journal.json",
     f"{JOURNAL}/originals.bin", f"{JOURNAL}/kept/README.md", f"{JOURNAL}/kept", JOURNAL],
)  # fmt: skip
def test_undo_follows_no_link_out_of_the_folder(tmp_path, base, recipe, name):
    edit(recipe)
    (base / name).rename(tmp_path / "outside")
    (base / name).symlink_to(tmp_path / "outside")
    outside, inside = tmp_path / "outside", state(base)
    before = state(outside) if outside.is_dir() else outside.read_bytes()
    with pytest.raises(MergeError, match="expected a (file|folder, no link)"):
        undo(base)
    assert (state(outside) if outside.is_dir() else outside.read_bytes()) == before
    assert state(base) == inside


@pytest.mark.parametrize("what", ["a span outside its tensor", "a tensor twice", "another small file"])
def test_undo_writes_only_where_the_shards_header_has_the_tensor(base, recipe, what):
    edit(recipe)
    record = journal_record(base)
    first = record["tensors"][0]
    if what == "a span outside its tensor":
        first["start"] -= 8
    elif what == "a tensor twice":
        record["tensors"].append(first)
    else:
        record["replaced"][0] = {"name": "tokenizer.json", "original_sha256": None, "written_sha256": None}
    (base / JOURNAL / "journal.json").write_text(json.dumps(record))
    before = state(base)
    with pytest.raises(
        ArtifactError, match=r"the journal places|tensors: a name stands there twice|replaced\.0\.name"
    ):
        undo(base)
    assert state(base) == before


def test_undo_leaves_other_hard_links_of_a_shard_as_they_are(tmp_path, base, recipe):
    before = state(base)
    edit(recipe)
    backup = tmp_path / "backup.safetensors"
    backup.hardlink_to(base / "model-00001-of-00002.safetensors")
    edited = backup.read_bytes()
    undo(base)
    assert state(base) == before
    assert backup.read_bytes() == edited != before[backup.name.replace("backup", "model-00001-of-00002")]


def test_undo_keeps_a_card_that_was_written_after_the_edit(base, recipe, caplog):
    before = state(base)
    edit(recipe)
    (base / "README.md").write_text("mine")
    undo(base)
    assert "was written after the edit: kept as README.md.set-aside" in caplog.text
    assert state(base) == before | {"README.md.set-aside": b"mine"}
