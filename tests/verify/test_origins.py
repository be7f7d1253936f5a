"""Which models a checkpoint was held against; and that models which differ nowhere can tell nothing of an edit."""

import shutil
from pathlib import Path

import pytest

from sae_merge_method.artifacts.edit_report import tensors_sha256
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER, open_checkpoint
from sae_merge_method.verify.audit import verify
from tests.merge.edited_in_place import edit
from tests.merged import Merged
from tests.recipes import recipe_text, run_recipe
from tests.verify.test_sweep import xxh3

EDITED = (".layers.1.", ".layers.3.")


def hash_of(folder: Path, *, layers: tuple[str, ...] = ("",)) -> str:
    """Over the tensors of some layers, told by a part of their names."""
    model = open_checkpoint(folder)
    return tensors_sha256(
        (name, entry.dtype, entry.shape, xxh3(model, name))
        for name, entry in model.tensors.items()
        if any(part in name for part in layers)
    )


def test_the_base_was_read_whole_and_the_donor_where_it_gives(merged: Merged) -> None:
    base, donor = verify(merged.out).against
    assert (base.role, base.folder, base.tensors) == ("base", merged.base, 54)
    assert base.tensors_sha256 == hash_of(merged.base)
    assert (donor.role, donor.folder, donor.tensors) == ("donor", merged.donor, 26)
    assert donor.tensors_sha256 == hash_of(merged.donor, layers=EDITED)
    assert base.revision is donor.revision is None


def test_a_snapshot_of_the_hubs_cache_is_named_by_its_revision(merged: Merged, tmp_path: Path) -> None:
    snapshot = merged.copy_base(tmp_path / "models--me--base" / "snapshots" / ("a" * 40))
    base, _ = verify(merged.out, base=snapshot).against
    assert base.revision == "a" * 40


def test_of_a_checkpoint_edited_in_place_the_base_is_its_journals(merged: Merged, tmp_path: Path) -> None:
    base = merged.copy_base(tmp_path / "base")
    edit(recipe_text(base, merged.donor, weight="0.5"))
    own, _ = verify(base).against
    assert own.folder == base / JOURNAL_FOLDER
    assert own.tensors == 26 and own.tensors_sha256 == hash_of(merged.base, layers=EDITED)


@pytest.mark.parametrize("weight", ["0.5", "0.0"])
def test_a_donor_that_is_the_base_again_tells_nothing_unless_nothing_was_asked_for(
    merged: Merged, tmp_path: Path, weight: str
) -> None:
    twin = shutil.copytree(merged.base, tmp_path / "twin")
    run_recipe(recipe_text(merged.base, twin, weight=weight), tmp_path / "out")
    told = " ".join(verify(tmp_path / "out").unproved)
    words = "base, donors and checkpoint hold the same bytes in layers 1, 3"
    assert (words in told) == (weight == "0.5")
