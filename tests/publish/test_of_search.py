"""A search in a model's card: whether the recipe that it found is the one that made the model."""

from hashlib import sha256
from pathlib import Path

import pytest

from sae_merge_method.artifacts.schema import write_record
from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.errors import ArtifactError
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.settings import CardSettings
from tests import tiny
from tests.merged import Merged, rename_models
from tests.reports.records import filled

MIT = CardSettings(license="mit")


@pytest.fixture
def out(tmp_path: Path, merged: Merged) -> Path:
    return merged.copy(tmp_path / "maths-model")


def body(out: Path) -> str:
    return (out / "README.md").read_text()


def recipe(out: Path) -> str:
    return (out / "mergekit_config.yml").read_text()


def save_tuned(folder: Path, text: str, base: Path | None = None) -> Path:
    """The result of a search that found this recipe, of this base; without one an older file, which does not
    say of which."""
    folder.mkdir()
    (folder / "recipe.yml").write_text(text)
    (folder / "tune.md").write_text(
        "# Tuned\n\n## What came of it\n\n- it gains\n\n## By hand\n\nsae-merge merge\n"
    )
    was = None if base is None else open_checkpoint(base)
    known = {
        "recipe_sha256": sha256(text.encode()).hexdigest(),
        "n_layers": 1 if was is None else was.n_layers,
        "base_fingerprint": None if was is None else fingerprint(was),
        "donor_fingerprints": (),
    }
    found = filled(Tune, "a name").model_copy(update=known)
    write_record(folder / "tune.json", found)
    return folder


def test_a_card_says_how_weights_were_found_where_the_recipe_is_the_one_that_was(
    out: Path, tmp_path: Path
) -> None:
    text = recipe(out)
    tuned = save_tuned(tmp_path / "tuned", text)
    write_card(out, MIT.model_copy(update={"tune": str(tuned)}))
    assert "## How the weights were found" in body(out) and "### What came of it" in body(out)
    assert "By hand" not in body(out)
    write_card(out, MIT)
    assert "## How the weights were found" in body(out)


def test_a_search_of_another_recipe_or_a_changed_one_is_refused(out: Path, tmp_path: Path) -> None:
    text = recipe(out)
    other = save_tuned(tmp_path / "other", text.replace("weight: 0.5", "weight: 0.25").replace("1.0", "0.75"))
    assert (other / "recipe.yml").read_text() != text
    with pytest.raises(ArtifactError, match="found another recipe"):
        write_card(out, MIT.model_copy(update={"tune": str(other)}))
    changed = save_tuned(tmp_path / "changed", text)
    (changed / "recipe.yml").write_text(f"{text}\n# mine\n")
    with pytest.raises(ArtifactError, match="was changed after the search; --allow-unmatched takes it"):
        write_card(out, MIT.model_copy(update={"tune": str(changed)}))


def carded(out: Path, tuned: Path, **more: object) -> bool:
    """Whether a card shows the search, as one that is known to be of this model."""
    write_card(out, CardSettings(license="mit", tune=tuned, **more))
    shown = body(out)
    return "## How the weights were found" in shown and "Not known to be of this checkpoint" not in shown


def test_the_recipe_is_the_same_once_it_is_pinned(out: Path, tmp_path: Path) -> None:
    rename_models(out, "me/base", "me/donor")
    tuned = save_tuned(tmp_path / "tuned", recipe(out))
    rename_models(out, "me/base@abc", "me/donor@def")
    assert carded(out, tuned)
    pinned = save_tuned(tmp_path / "pinned", recipe(out))
    rename_models(out, "me/base@abc", "me/donor@fed")
    with pytest.raises(ArtifactError, match="was of me/donor@def, this folder was merged from me/donor@fed$"):
        carded(out, pinned, allow_unmatched=True)


def test_the_recipe_is_the_same_however_a_folder_is_written(
    out: Path, tmp_path: Path, merged: Merged, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = save_tuned(tmp_path / "tuned", recipe(out))
    monkeypatch.chdir(merged.base.parent)
    rename_models(out, "./base", "donor")
    assert carded(out, tuned)


def test_the_recipe_of_another_model_is_another_and_so_is_one_with_base_and_donor_changed_about(
    out: Path, tmp_path: Path
) -> None:
    rename_models(out, "me/base", "me/donor")
    tuned = save_tuned(tmp_path / "tuned", recipe(out))
    for names, words in (
        (("me/base", "me/other"), "was of me/donor, this folder was merged from me/other"),
        (("me/donor", "me/base"), "was of me/base, this folder was merged from me/donor"),
    ):
        rename_models(out, *names)
        with pytest.raises(ArtifactError, match=words):
            carded(out, tuned, allow_unmatched=True)
    rename_models(out, "me/base", "me/base")
    with pytest.raises(ArtifactError, match="found another recipe"):
        carded(out, tuned)


def test_a_folder_is_the_model_on_the_hub_where_the_author_says_so(
    out: Path, tmp_path: Path, merged: Merged
) -> None:
    rename_models(out, "me/base", "me/donor")
    tuned = save_tuned(tmp_path / "tuned", recipe(out))
    rename_models(out, str(merged.base), str(merged.donor))
    with pytest.raises(ArtifactError, match=r"nobody can tell .* Hub id\); --allow-unmatched takes it"):
        carded(out, tuned)
    assert not carded(out, tuned, allow_unmatched=True)
    assert "(allowed): the search" in body(out)
    assert carded(out, tuned, base="me/base", donor=("me/donor",))
    assert carded(out, tuned)  # as it was told before


def test_the_recipe_of_a_base_of_other_weights_under_the_same_name_is_another(
    out: Path, tmp_path: Path, merged: Merged
) -> None:
    assert carded(out, save_tuned(tmp_path / "tuned", recipe(out), merged.base))
    other = save_tuned(tmp_path / "other", recipe(out), merged.donor)
    with pytest.raises(
        ArtifactError, match="the search is of a name, which holds other weights than the base"
    ):
        carded(out, other, allow_unmatched=True)
    (other / "recipe.yml").unlink()
    with pytest.raises(ArtifactError, match="which holds other weights"):
        carded(out, other, allow_unmatched=True)
    larger = tiny.gemma3_text(tmp_path / "larger", 0, n_layers=6)
    with pytest.raises(ArtifactError, match="the search is of a model with 6 layers"):
        carded(out, save_tuned(tmp_path / "of-larger", recipe(out), larger))
