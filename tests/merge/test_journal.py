"""The journal gives back only what it took, and only where it was taken."""

import json
from pathlib import Path

import pytest

from sae_merge_method.errors import ArtifactError, MergeError
from sae_merge_method.merge.journal import undo
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
    record["replaced"] = ["../donor/config.json"]
    file.write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match="replaced"):
        undo(base)
