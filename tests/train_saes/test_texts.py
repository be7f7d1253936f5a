"""What is learned from, and what is held out: by weight, without overlap, nothing cut off."""

import logging
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from sae_merge_method.corpora.tokens import Document
from sae_merge_method.errors import CorpusError, UsageError
from sae_merge_method.loaded.text_model import TextModel, load_text_model
from sae_merge_method.train_saes.texts import Reading, Text, _pieces, blocks, mixed, parse_source, read_texts
from tests.diagnose import hosts

READING = Reading(tokens=300, held_out=60, max_length=32, text_field="text", max_documents=None, seed=0)


@pytest.fixture(scope="module")
def model(gemma3: Path) -> TextModel:
    return load_text_model(str(gemma3))


def text(weight: float, *lengths: int) -> Text:
    documents = tuple(
        Document(np.arange(n), np.ones(n, dtype=np.bool_), nth) for nth, n in enumerate(lengths)
    )
    return Text("t", "0", weight, documents, ())


def words(model: TextModel, documents: tuple[Document, ...]) -> set[str]:
    return {model.tokenizer.decode(one.ids[1:]) for one in documents}


@pytest.mark.parametrize(
    ("written", "source", "weight"),
    [
        ("maths.jsonl", "maths.jsonl", 1),
        ("target.jsonl:2", "target.jsonl", 2),
        ("maths.jsonl:0.5", "maths.jsonl", 0.5),
        ("me/set:main:train", "me/set:main:train", 1),
        ("me/set:main:train:3", "me/set:main:train", 3),
    ],
)
def test_a_weight_stands_behind_the_last_colon(written: str, source: str, weight: float) -> None:
    assert parse_source(written) == (source, weight)


def test_a_file_whose_own_name_ends_so_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "odd:2").write_text("x")
    assert parse_source(f"{tmp_path}/odd:2") == (f"{tmp_path}/odd:2", 1)
    with pytest.raises(UsageError, match="above 0"):
        parse_source("maths.jsonl:0")


def test_a_number_behind_a_data_set_is_said_to_be_a_weight_and_how_it_is_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "sae_merge_method")
    assert parse_source("me/set:2023") == ("me/set", 2023)
    (told,) = caplog.messages
    assert told == (
        "me/set:2023: read as me/set with the weight 2023; where 2023 names a config or a split, "
        "write me/set:2023:1"
    )
    caplog.clear()
    assert parse_source("me/set:2023:1") == ("me/set:2023", 1)
    parse_source("maths.jsonl:2")
    assert not caplog.messages


def test_tokens_come_in_proportion_to_the_weights_to_within_a_document() -> None:
    texts = (text(2, 5, 3, 8), text(1, 20, 7), text(0.5, 4))
    read = [0, 0, 0]
    for one in islice(mixed(texts, seed=0), 400):
        read[one.text] += int(one.document.counted.sum())
        shares = np.array(read) / np.array([2, 1, 0.5])
        assert np.ptp(shares) <= 20  # the longest document, over its weight


def test_a_corpus_is_read_through_before_it_is_read_again_and_in_another_order() -> None:
    positions = [one.document.position for one in islice(mixed((text(1, *[3] * 10),), seed=0), 20)]
    assert sorted(positions[:10]) == sorted(positions[10:]) == list(range(10))
    assert positions[:10] != positions[10:]
    assert positions == [one.document.position for one in islice(mixed((text(1, *[3] * 10),), seed=0), 20)]


def test_blocks_hold_as_many_documents_as_their_tokens_take() -> None:
    for run in islice(blocks(mixed((text(1, 5, 6, 7),), 0), 16), 10):
        tokens = [int(one.document.counted.sum()) for one in run]
        assert sum(tokens[:-1]) < 16 <= sum(tokens)


def test_nothing_held_out_is_learned_from_whatever_the_order_of_the_file(
    model: TextModel, tmp_path: Path
) -> None:
    sentences = hosts.sentences(hosts.MATHS, 60, seed=3)
    doubled = [*sentences, *(f"  {one} " for one in sentences[:30])]
    (first,) = read_texts(model, [str(hosts.write_jsonl(tmp_path / "a.jsonl", doubled))], READING)
    (again,) = read_texts(model, [str(hosts.write_jsonl(tmp_path / "b.jsonl", doubled[::-1]))], READING)
    held = words(model, first.held_out)
    assert held == words(model, again.held_out)
    assert held.isdisjoint(words(model, first.training))
    assert sum(int(one.counted.sum()) for one in first.held_out) >= 60
    (other,) = read_texts(model, [str(tmp_path / "a.jsonl")], READING._replace(seed=1))
    assert words(model, other.held_out) != held


def test_long_documents_are_read_in_pieces_that_each_begin_as_the_document_does(
    model: TextModel, tmp_path: Path
) -> None:
    long = [" ".join(hosts.MATHS[(n + start) % 8] for n in range(100)) for start in (0, 3)]
    source = str(hosts.write_jsonl(tmp_path / "long.jsonl", long))
    (read,) = read_texts(model, [source], READING._replace(held_out=0))
    assert [len(one.ids) for one in read.training] == [32, 32, 32, 8] * 2
    assert all(one.ids[0] == model.tokenizer.bos_token_id for one in read.training)
    assert sum(int(one.counted.sum()) for one in read.training) == 200
    assert not any(one.counted[0] for one in read.training)


def test_of_a_long_document_that_is_held_out_no_more_is_judged_by_than_was_asked_for(
    model: TextModel, tmp_path: Path
) -> None:
    long = [" ".join(hosts.MATHS[(n + start) % 8] for n in range(500)) for start in (0, 3)]
    source = str(hosts.write_jsonl(tmp_path / "long.jsonl", long))
    (read,) = read_texts(model, [source], READING)
    assert [int(one.counted.sum()) for one in read.held_out] == [31, 31]  # 60 are reached
    assert sum(int(one.counted.sum()) for one in read.training) == 500
    assert {one.position for one in read.held_out}.isdisjoint(one.position for one in read.training)


def test_pieces_of_a_document_that_nothing_stands_before_do_not_begin_with_its_first_word() -> None:
    document = Document(np.arange(10, 19), np.arange(9) > 0)
    pieces = list(_pieces([document], 4, frozenset({2})))
    assert [one.ids.tolist() for one in pieces[:2]] == [[10, 11, 12, 13], [14, 15, 16, 17]]
    assert len(pieces) == 2  # of the last only the first position is left, which never counts
    assert not any(one.counted[0] for one in pieces)


def test_what_cannot_be_parted_or_is_named_twice_is_refused(model: TextModel, tmp_path: Path) -> None:
    source = str(hosts.write_jsonl(tmp_path / "one.jsonl", ["m0 m1", "m0   m1"]))
    with pytest.raises(CorpusError, match="too few different documents.*--held-out 0"):
        read_texts(model, [source], READING)
    with pytest.raises(UsageError, match="each text once"):
        read_texts(model, [source, f"{source}:2"], READING)
