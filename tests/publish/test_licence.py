"""The licence a card states is the base's or the author's."""

import pytest
from huggingface_hub import ModelCard

from sae_merge_method.errors import UsageError
from sae_merge_method.models.hub import ModelId
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.licence import Licence, find_licence
from sae_merge_method.publish.settings import CardSettings
from tests.merged import rename_models


@pytest.fixture
def out(tmp_path, merged):
    return merged.copy(tmp_path / "maths-model")


def body(folder):
    return (folder / "README.md").read_text()


def test_the_licence_is_the_bases_or_the_users_and_never_made_up(tmp_path, out, merged):
    with pytest.raises(UsageError, match="say it with --license"):
        write_card(out)
    assert "sae-merge card" not in body(out)
    base = merged.copy_base(tmp_path / "base")
    rename_models(out, str(base), str(merged.donor))
    (base / "README.md").write_text(
        "---\nlicense: other\nlicense_name: gemma\nlicense_link: https://x.y\n---\n# Base\n"
    )
    write_card(out)
    data = ModelCard.load(out / "README.md").data.to_dict()
    assert (data["license"], data["license_name"], data["license_link"]) == ("other", "gemma", "https://x.y")
    assert "Licence: gemma, taken over from the card of" in body(out)
    (base / "README.md").write_text("# Base\n")
    with pytest.raises(UsageError, match="states no licence"):
        write_card(out)


def test_a_licence_is_one_of_the_hubs_identifiers():
    assert find_licence("Apache-2.0", ModelId("any")) == Licence("apache-2.0")
    with pytest.raises(
        UsageError, match="expected one of the Hub's identifiers such as apache-2.0, got 'my own'"
    ):
        find_licence("my own", ModelId("any"))


def licence_in(folder):
    data = ModelCard.load(folder / "README.md").data.to_dict()
    return tuple(data.get(key) for key in ("license", "license_name", "license_link"))


@pytest.fixture
def of_gemma(tmp_path, merged, out):
    """A merged folder whose base's card says gemma."""
    base = merged.copy_base(tmp_path / "base")
    (base / "README.md").write_text("---\nlicense: gemma\n---\n# Base\n")
    rename_models(out, str(base), str(merged.donor))
    return out


def test_what_the_author_stated_once_stands_in_the_next_card(of_gemma, caplog):
    for settings in (CardSettings(license="apache-2.0"), CardSettings()):
        write_card(of_gemma, settings)
        assert licence_in(of_gemma) == ("apache-2.0", None, None)
        assert "Licence: apache-2.0, stated by the author" in body(of_gemma)
    write_card(of_gemma, CardSettings(license="mit"))
    assert "the licence that README.md states was apache-2.0, now it is mit" in caplog.text


def test_what_the_author_wrote_by_hand_stands_with_its_name_and_link_and_is_theirs_once_asked_for(
    of_gemma, caplog
):
    own = "license: other\nlicense_name: mine\nlicense_link: LICENSE\n"
    (of_gemma / "README.md").write_text(f"---\n{own}---\n# Mine\n")
    before, by_author = "as README.md stated before", "stated by the author"
    for asked, words in ((None, before), (None, before), ("other", by_author), (None, by_author)):
        write_card(of_gemma, CardSettings(license=asked))
        assert licence_in(of_gemma) == ("other", "mine", "LICENSE")
        assert f"Licence: mine, {words}." in body(of_gemma)
    assert "the licence that README.md states" not in caplog.text


def test_a_readme_that_is_the_bases_own_says_nothing_of_an_author(of_gemma, tmp_path):
    """As an edit in place leaves it, or a copy of the base's files."""
    (of_gemma / "README.md").write_bytes((tmp_path / "base" / "README.md").read_bytes())
    for _ in range(2):
        write_card(of_gemma)
        assert licence_in(of_gemma)[0] == "gemma"
        assert "Licence: gemma, as README.md stated before." in body(of_gemma)


def test_what_was_the_bases_follows_the_base_until_the_author_changes_it(of_gemma, tmp_path, caplog):
    write_card(of_gemma)
    assert licence_in(of_gemma)[0] == "gemma"
    (tmp_path / "base" / "README.md").write_text("---\nlicense: llama3\n---\n# Base\n")
    write_card(of_gemma)
    assert licence_in(of_gemma)[0] == "llama3"
    assert "was gemma, now it is llama3, as the base's card says" in caplog.text
    (of_gemma / "README.md").write_text(body(of_gemma).replace("license: llama3", "license: mit"))
    write_card(of_gemma)
    assert licence_in(of_gemma)[0] == "mit" and "Licence: mit, as README.md stated before" in body(of_gemma)


def test_several_licences_are_one_too_many(of_gemma):
    (of_gemma / "README.md").write_text("---\nlicense: [mit, gemma]\n---\n# Mine\n")
    with pytest.raises(UsageError, match="README.md states as its licence .* expected one identifier"):
        write_card(of_gemma)
    write_card(of_gemma, CardSettings(license="mit"))
    assert licence_in(of_gemma)[0] == "mit"
