import numpy as np
import pytest

from sae_merge_method.corpora.token_classes import (
    TOKEN_CLASSES,
    class_bits,
    classify,
    leave_out,
    shares_of_tokens,
)
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import CorpusError

TEXTS = ["a", " 7", "x2", ".", "\n", " +", "?\n", " ", "b", "c", "d", "e"]


def decode(token: int) -> str:
    return TEXTS[token]


def document(*ids: int) -> Document:
    return Document(np.array([0, *ids]), np.array([False, *(True for _ in ids)]))


def of_class(name: str, *documents: Document) -> list[list[int]]:
    bits = class_bits([name])
    return [one.ids[(one.classes & bits) > 0].tolist() for one in classify(documents, decode)]


@pytest.mark.parametrize(
    ("name", "members"), [("digits", [1, 2]), ("newlines", [4, 6]), ("punctuation", [3, 5, 6])]
)
def test_a_class_is_told_by_the_text_of_its_tokens(name: str, members: list[int]) -> None:
    assert of_class(name, document(*range(12))) == [members]


def test_a_template_is_the_runs_that_most_documents_of_the_corpus_hold() -> None:
    frame = (8, 9, 10)
    documents = [document(*frame, nth, 11, *frame) for nth in range(4)]
    assert of_class("template", *documents) == [[*frame, 11, *frame]] * 4
    others = [document(nth, nth + 1, nth + 2) for nth in range(9)]
    assert of_class("template", *documents[:2], *others)[0] == []
    assert of_class("template", document(8), document(9, 10)) == [[], []]


def test_what_is_masked_does_not_count_and_a_document_of_nothing_else_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    documents = classify([document(0, 1, 8), document(1, 2)], decode)
    assert shares_of_tokens(documents)["digits"] == 3 / 5
    (kept,) = leave_out(documents, ("digits",), "a")
    assert kept.ids[kept.counted].tolist() == [0, 8]
    assert kept.ids.tolist() == [0, 0, 1, 8]  # the model still reads it
    assert "a: 1 documents have no token beside digits" in caplog.text
    with pytest.raises(CorpusError, match="no document of a has a token to count beside digits, newlines"):
        leave_out(documents[1:], ("digits", "newlines"), "a")
    assert [one.counted.sum() for one in leave_out(documents, (), "a")] == [3, 2]


def test_a_document_is_cut_at_a_counted_token_with_its_classes() -> None:
    (whole,) = classify([document(1, 3, 8)], decode)
    cut = whole.cut(2)
    assert (cut.ids.tolist(), len(cut.classes)) == ([0, 1, 3], 3)
    assert whole.cut(3) is whole.cut(9) is whole
    assert set(TOKEN_CLASSES) == {"digits", "newlines", "punctuation", "template"}
