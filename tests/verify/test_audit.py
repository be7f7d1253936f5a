"""An audit as a whole: what a sound checkpoint gives, and what cannot be audited."""

import os
import shutil

import pytest
from huggingface_hub import constants

from sae_merge_method.errors import ArtifactError, MergeError, RecipeError, UsageError
from sae_merge_method.verify import expected, streams
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.merged import rename_models
from tests.recipes import recipe_text, run_recipe
from tests.saes.at_hand import cached
from tests.verify.conftest import Q_PROJ, flip_one_bit, rewrite, violations


def test_our_own_merge_is_proved_in_full(merged):
    report = verify(merged.out)
    assert report.sound and not report.unproved
    proved = "\n".join(report.proved)
    assert "54 tensors: the base's names" in proved
    assert "28 tensors outside the selected layers: the base's bytes" in proved
    assert "26 edited tensors: base + weight * (donor - base), bit for bit, rounded once" in proved
    assert "54 tensors have the hashes of edit_report.json" in proved
    assert "4 tokenizer files as the base's" in proved


def test_everything_is_read_in_small_pieces(tmp_path, merged, monkeypatch):
    sizes = []
    read = os.preadv

    def watched(handle: int, buffers: list[memoryview], first: int) -> int:
        sizes.append(len(buffers[0]))
        return read(handle, buffers, first)

    monkeypatch.setattr(os, "preadv", watched)
    monkeypatch.setattr(expected, "VALUES_AT_ONCE", 7)
    monkeypatch.setattr(streams, "_BYTES_AT_ONCE", 24)
    monkeypatch.setattr("sae_merge_method.files.hashing._AT_ONCE", 30)
    assert verify(merged.out).sound
    assert max(sizes) == 30
    out = rewrite(merged.copy(tmp_path / "out"), flip_one_bit(Q_PROJ))
    assert (
        "1 values differ from base + weight * (donor - base) (layer 1 is selected), the first is number 1"
        in (violations(out)[Q_PROJ])
    )


def test_what_cannot_be_audited_is_an_error_not_a_verdict(tmp_path, merged):
    with pytest.raises(UsageError, match="recipe has 1 donors"):
        verify(merged.out, donors=["a", "b"])
    with pytest.raises(ArtifactError, match="cannot read a recipe"):
        verify(merged.base)
    out = merged.copy(tmp_path / "out")
    short = tiny.gemma3_text(tmp_path / "short", 1, n_layers=2)
    with pytest.raises(MergeError, match="has no such tensor"):
        verify(out, donors=[str(short)])
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace("sae_stethoscope", "linear"))
    with pytest.raises(RecipeError):
        verify(out)


SIDES = (("base", 0), ("donor", 1))


@pytest.mark.parametrize("lacking", ["*-00002-of-*", "*.safetensors", "*.safetensors*", None])
@pytest.mark.parametrize("role", ["base", "donor"])
def test_a_model_of_which_the_hubs_cache_holds_a_part_is_not_at_hand(tmp_path, monkeypatch, role, lacking):
    """Whoever looked at its config, or was interrupted while it came, has such a part."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    base, donor = (tiny.gemma3_text(tmp_path / name, seed, shards=2) for name, seed in SIDES)
    run_recipe(recipe_text(base, donor), tmp_path / "out")
    rename_models(tmp_path / "out", "someone/base", "someone/donor")
    for model in (base, donor):
        snapshot = cached(tmp_path / "hub", f"someone/{model.name}", ".")
        shutil.copytree(model, snapshot)
        for file in snapshot.glob(lacking) if lacking and model.name == role else ():
            file.unlink()
    report = verify(tmp_path / "out")
    assert report.sound
    absent = f"what needs the {role} someone/{role}: it is not at hand"
    assert (absent in report.unproved) == (lacking is not None)
    assert "54 tensors have the hashes of edit_report.json" in report.proved
