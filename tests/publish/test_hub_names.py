"""Base and donors have one name each in a whole card, and keep it from run to run."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.settings import CardSettings
from tests.merged import Merged, rename_models

NAMED = CardSettings(license="mit", base="google/gemma", donor=("me/maths",), repo_id="me/out")
NOTHING = CardSettings(license="mit")


@pytest.fixture
def out(tmp_path: Path, merged: Merged) -> Path:
    return merged.copy(tmp_path / "maths-model")


def body(out: Path) -> str:
    return (out / "README.md").read_text()


def base_model(out: Path) -> list[str] | None:
    return ModelCard.load(out / "README.md").data.to_dict().get("base_model")


@pytest.mark.parametrize("readme", ["mergekit's", None])
def test_what_an_earlier_run_was_told_is_kept(out: Path, readme: str | None) -> None:
    if readme is None:
        (out / "README.md").unlink()
    write_card(out, NAMED)
    first = body(out)
    write_card(out, NOTHING)
    assert body(out) == first
    assert base_model(out) == ["google/gemma", "me/maths"]
    assert "sae-merge rebuild me/out rebuilt/ --base google/gemma --donor me/maths" in first


def test_what_is_told_now_takes_the_place_of_that_alone(out: Path) -> None:
    write_card(out, NAMED)
    write_card(out, NOTHING.model_copy(update={"donor": ("me/better",)}))
    assert base_model(out) == ["google/gemma", "me/better"]
    assert "sae-merge rebuild me/out rebuilt/ --base google/gemma --donor me/better" in body(out)


def test_what_was_told_of_another_recipe_is_forgotten(out: Path, tmp_path: Path, merged: Merged) -> None:
    (out / "README.md").unlink()
    write_card(out, NAMED)
    rename_models(out, str(merged.base), str(tmp_path / "other"))
    write_card(out, NOTHING)
    assert "sae-merge rebuild me/out rebuilt/\n" in body(out)
    assert f"names `{merged.base}`, `{tmp_path / 'other'}` by folder" in body(out)


def test_what_is_not_pinned_has_the_name_that_was_told_and_no_folders(out: Path, merged: Merged) -> None:
    write_card(out, NAMED)
    assert "does not pin `google/gemma`, `me/maths` to a commit" in body(out)
    assert str(merged.donor) not in body(out).partition("## Limits")[2]
    write_card(out, NAMED.model_copy(update={"donor": ("me/maths@abc",)}))
    assert "does not pin `google/gemma` to a commit" in body(out)
    assert base_model(out) == ["google/gemma", "me/maths"]


def test_a_donor_whose_id_is_not_known_is_a_folder_everywhere(
    out: Path, merged: Merged, caplog: pytest.LogCaptureFixture
) -> None:
    write_card(out, CardSettings(license="mit", base="google/gemma"))
    assert base_model(out) == ["google/gemma"]
    assert f"The recipe names `{merged.donor}` by folder" in body(out)
    assert "does not pin `google/gemma` to a commit" in body(out)
    assert f"{merged.donor} is a folder" in caplog.text
