"""Texts in three parts by their hash."""

import numpy as np
import pytest

from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.reading import Problem
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import CorpusError
from sae_merge_method.tune.splits import SPLITS, Side, divide, in_groups, split_of


def corpus(count: int = 200, **fields: object) -> Corpus:
    texts = tuple(f"text {number}" for number in range(count))
    return Corpus("texts", "", texts, **fields)


def test_parts_are_as_large_as_they_should_be_and_share_nothing():
    found = divide(corpus(2000))
    assert sum(len(one.documents) for one in found.values()) == 2000
    for name, share in SPLITS.items():
        assert len(found[name].documents) == pytest.approx(2000 * share, rel=0.12)
    assert not set(found["search"].documents) & set(found["report"].documents)


def test_more_texts_move_none_of_those_that_were_there_and_space_is_no_difference():
    few, many = divide(corpus(100)), divide(corpus(400))
    assert all(set(few[name].documents) <= set(many[name].documents) for name in SPLITS)
    assert split_of("two  words\n") == split_of("two words")


def test_a_source_is_in_one_part_whole():
    sources = tuple(str(number // 10) for number in range(200))
    found = divide(corpus(sources=sources))
    of_part = {name: {int(text.split()[1]) // 10 for text in one.documents} for name, one in found.items()}
    assert sum(map(len, of_part.values())) == 20
    for name, one in found.items():
        assert one.sources is not None and {int(source) for source in one.sources} == of_part[name]


def test_a_part_of_one_source_is_none() -> None:
    """However many texts it has: one source alone has no spread."""
    alone = split_of("one page")
    others = tuple(f"text {number}" for number in range(200) if split_of(f"text {number}") != alone)
    texts = (*map(str, range(50)), *others)
    sources = (*("one page" for _ in range(50)), *(None for _ in others))
    with pytest.raises(
        CorpusError, match=f"the {alone} part of texts has 1 of its {len(others) + 1} sources"
    ):
        divide(Corpus("texts", "", texts, sources=sources))


def test_a_side_is_told_by_source_where_sources_are_known() -> None:
    documents = tuple(
        Document(np.arange(size, dtype=np.int64), np.arange(size) > 0, nth)
        for nth, size in enumerate([5, 9, 3])
    )
    each = Side("texts", documents, ())
    assert each.tokens == (4, 8, 2) and each.by_source([0.1, 0.2, 0.3]) == (0.1, 0.2, 0.3)
    chunks = each._replace(sources=(0, 1, 0))
    assert chunks.tokens == (6, 8) and chunks.by_source([1.5, 2.0, 0.25]) == (1.75, 2.0)


def test_prompts_and_answers_go_with_their_texts():
    problems = tuple(Problem(f"text {number}", "") for number in range(200))
    found = divide(corpus(problems=problems))
    assert all(
        one.problems is not None and [each.prompt for each in one.problems] == list(one.documents)
        for one in found.values()
    )


def test_a_part_without_texts_is_said():
    with pytest.raises(
        CorpusError, match=r"the (search|choice|report) part of texts has [01] of its 3 texts"
    ):
        divide(corpus(3))


def test_groups_hold_every_text_once_within_their_size():
    documents = tuple(
        Document(np.arange(size, dtype=np.int64) + size, np.ones(size, dtype=np.bool_), nth)
        for nth, size in enumerate([5, 9, 3, 12, 4, 4, 6, 30])
    )
    groups = in_groups(Side("texts", documents, ()), 20)
    members = [[nth for batch in group for nth in batch.documents] for group in groups]
    assert sorted(nth for group in members for nth in group) == list(range(8))
    assert all(sum(len(documents[nth].ids) for nth in group) <= 20 or len(group) == 1 for group in members)
