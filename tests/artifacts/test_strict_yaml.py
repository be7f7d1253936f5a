"""YAML reads back as it was written, whatever is in it."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_merge_method.artifacts.strict_yaml import dump_yaml, load_yaml
from tests.reports.oracles import yaml_file

HARD = [
    "a\x85b", "\u2028", "x\u2029 ", "\x1b[2J", "\u202e", "\ufeff", "\ud800", "\U000e0041", "\t", "a\nb: c", "\r\n",
    "- a", "# a", "a # b", "a: b", "'", '"', "\\x41", "---", "...", "null", "1e3", "yes", "!!python/object:os.system", "",
    " a ", "*a", "&a", "@a", "%a", "{a: b}", "[a]", "x" * 2000, "naïve 漢字",
]  # fmt: skip


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.text() | st.sampled_from(HARD), st.text() | st.lists(st.sampled_from(HARD)), max_size=4
    )
)
def test_every_text_reads_back_as_it_was(value: dict[str, object]) -> None:
    text = dump_yaml(value)
    yaml_file(text)  # and nothing in it steers a terminal
    assert yaml.safe_load(text) == load_yaml(text) == value


@pytest.mark.parametrize("text", ["plain", "naïve 漢字", "google/gemma-3-4b-it"])
def test_plain_text_is_written_plainly(text: str) -> None:
    assert dump_yaml({"a": text, "b": [text]}) == f"a: {text}\nb:\n- {text}\n"


def test_a_key_that_stands_twice_is_an_error() -> None:
    with pytest.raises(yaml.YAMLError, match="stands here twice"):
        load_yaml("a: 1\na: 2\n")
