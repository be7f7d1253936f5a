"""The author's lines stay as they were written wherever their meaning does."""

from textwrap import dedent
from typing import Any

import pytest
import yaml

from sae_merge_method.artifacts.strict_yaml import load_yaml
from sae_merge_method.publish.front_matter_text import front_matter_text

TEXT = dedent("""\
    # after the Hub's own template
    language: no
    score: 61.20   # of a table

    # whose it is
    license: mit
    widget:
    - text: "a # b"
    """)


def renewed(text: str, **changes: Any) -> str:
    standing = load_yaml(text)
    return front_matter_text({**standing, **changes}, standing, text)


def test_what_does_not_change_keeps_its_lines() -> None:
    assert renewed(TEXT) == TEXT.strip()


def test_a_new_value_takes_its_own_lines_and_leaves_the_comments_around() -> None:
    text = renewed(TEXT, license="gemma", score=2, tags=["merge"])
    assert text == TEXT.replace("61.20   # of a table", "2").replace("mit", "gemma") + "tags: [merge]"


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x\n",
        "{a: 1, b: [2]}",
        "  a: 1\n  b: 2\n",
        "? a\n: 1\n? b\n: 2\n",
        "a: |+\n  words\n\n\nb: 2\n",
        "b: 2\na: |+\n  words\n\n\n",
        "",
    ],
)
def test_however_it_is_laid_out_it_means_the_same(text: str) -> None:
    standing = load_yaml(text) or {}
    for changes in ({}, {"b": [3]}, {"c": {"d": 1}}):
        fields = {**standing, **changes}
        assert yaml.safe_load(front_matter_text(fields, standing, text) + "\n") == fields
