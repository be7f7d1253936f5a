"""What a result is made from: a part each, the same for the same, and another where something that counts is."""

import shutil
from pathlib import Path

import pytest

from sae_merge_method.identity.made_from import of_model, of_texts
from sae_merge_method.loaded.text_model import load_text_model


@pytest.fixture
def base(tmp_path: Path, tiny_miniature) -> Path:
    """A model of which every file may be changed."""
    return shutil.copytree(tiny_miniature.base, tmp_path / "base")


@pytest.mark.parametrize(
    "file, text, parts",
    [
        ("chat_template.jinja", "{{ messages }}", ["base's files beside the weights"]),
        ("generation_config.json", '{"temperature": 0.5}', ["base's files beside the weights"]),
        ("preprocessor_config.json", "{}", []),  # no text goes through it
        ("README.md", "A card.", []),
    ],
)
def test_a_loaded_model_is_told_by_what_is_loaded_with_it(
    base: Path, file: str, text: str, parts: list[str]
) -> None:
    before = of_model("base", load_text_model(str(base)))
    (base / file).write_text(text)
    after = of_model("base", load_text_model(str(base)))
    assert [name for name in after if after[name] != before[name]] == parts


def test_texts_are_told_in_their_order() -> None:
    assert of_texts([("a", "1"), ("b", "2")]) == {"text 1": "a, 1", "text 2": "b, 2"}
