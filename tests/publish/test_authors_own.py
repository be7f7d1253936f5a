"""What the author wrote above a card stays as it is, or the card is refused."""

import pytest
from huggingface_hub import ModelCard

from sae_merge_method.errors import ArtifactError
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.card_file import read_card
from sae_merge_method.publish.settings import CardSettings
from tests.comparisons import save_comparison
from tests.publish.test_card import MIT, body, result_of


@pytest.fixture
def out(tmp_path, merged):
    return merged.copy(tmp_path / "maths-model")


def test_the_authors_own_results_and_name_stay(tmp_path, out, caplog):
    index = [
        {"name": "published", "results": [{"task": {"type": "x"}, "dataset": {"type": "y"}, "metrics": []}]},
    ]
    (out / "README.md").write_text(f"---\nlanguage: no  # Norsk\nmodel-index: {index}\n---\n# My own\n")
    write_card(out, MIT)
    assert body(out).startswith(f"---\nlanguage: no  # Norsk\nmodel-index: {index}\n")
    assert "the Hub may refuse, kept as it stands: Invalid `model_index`" in caplog.text
    comparison = save_comparison(tmp_path / "comparison.json", result=result_of(out))
    write_card(out, CardSettings(license="mit", comparison=comparison))
    (model,) = read_card(out).metadata["model-index"]
    assert (model["name"], model["results"][:1]) == ("published", index[0]["results"])
    assert len(model["results"]) == 3


def test_a_model_has_the_name_of_its_repository(tmp_path, out):
    comparison = save_comparison(tmp_path / "comparison.json", result=result_of(out))
    write_card(out, CardSettings(license="mit", comparison=comparison, repo_id="me/gemma-maths"))
    assert ModelCard.load(out / "README.md").data.model_name == "gemma-maths"
    write_card(out, CardSettings(license="mit", comparison=comparison))
    assert ModelCard.load(out / "README.md").data.model_name == "gemma-maths"
    write_card(out, CardSettings(license="mit", name="asked"))
    assert ModelCard.load(out / "README.md").data.model_name == "asked"


@pytest.mark.parametrize(
    ("front", "why"), [("a: 1\na: 2", "stands here twice"), ("- a", "expected keys and values"), ("a: [", "")]
)
def test_a_front_matter_of_which_something_would_be_lost_is_refused(out, front, why):
    text = f"---\n{front}\n---\n# My own\n"
    (out / "README.md").write_text(text)
    with pytest.raises(ArtifactError, match=rf"README\.md has a damaged front matter: (.|\n)*{why}"):
        write_card(out, MIT)
    assert body(out) == text


def test_a_front_matter_behind_a_byte_order_mark_is_one(out):
    (out / "README.md").write_text("\ufeff---\nlanguage: en\n---\n# My own\n")
    write_card(out, MIT)
    assert read_card(out).metadata["language"] == "en" and body(out).count("language") == 1
