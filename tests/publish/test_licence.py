"""The licence a card states is the base's or the author's."""

import pytest
from huggingface_hub import ModelCard

from sae_merge_method.errors import UsageError
from sae_merge_method.models.hub import ModelId
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.licence import Licence, find_licence
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
