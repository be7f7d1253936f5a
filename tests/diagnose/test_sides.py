"""What sides need to be comparable, from corpora to a diagnosis."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.diagnose.sides import prepare_sides
from tests.diagnose import hosts
from tests.diagnose.command import diagnose

DRAWS = ("--permutations", "99", "--bootstrap", "20", "--snippets", "0")


def corpus(name: str, documents: int, sources: Sequence[str] | None = None) -> Corpus:
    texts = tuple(f"{name} {nth}" for nth in range(documents))
    return Corpus(name, "0" * 64, texts, None if sources is None else tuple(sources))


def taken(lengths: Sequence[int], seed: int) -> list[Document]:
    random = np.random.default_rng(seed)
    return [
        Document(random.integers(0, 1000, length), np.ones(length, dtype=np.bool_), nth)
        for nth, length in enumerate(lengths)
    ]


def test_sides_are_matched_unless_that_is_not_wanted(caplog: pytest.LogCaptureFixture) -> None:
    corpora = corpus("a", 20), corpus("b", 80)
    documents = taken([30] * 20, 0), taken([500] * 80, 1)
    sides = prepare_sides(corpora, documents, match=True)
    assert [(side.documents, side.tokens) for side in sides.corpora] == [(20, 600), (20, 600)]
    assert [(side.documents_read, side.tokens_read) for side in sides.corpora] == [(20, 600), (80, 40_000)]
    assert "b: 20 of 80 documents and 600 of 40,000 tokens are left" in caplog.text
    assert len(sides.documents) == len(sides.labels.side) == 40
    caplog.clear()
    sides = prepare_sides(corpora, documents, match=False)
    assert [(side.documents, side.tokens) for side in sides.corpora] == [(20, 600), (80, 40_000)]
    assert "documents have 30 tokens in a and 500 in b" in caplog.text


def test_documents_are_numbered_by_source_and_side(caplog: pytest.LogCaptureFixture) -> None:
    corpora = corpus("a", 4, ["u", "u", "v", "v"]), corpus("b", 4, ["u", "w", "w", "u"])
    labels = prepare_sides(corpora, (taken([9] * 4, 0), taken([9] * 4, 1)), match=True).labels
    assert labels.side.tolist() == [0] * 4 + [1] * 4
    assert labels.source.tolist() == [0, 0, 1, 1, 2, 3, 3, 2]
    assert "1 sources have documents in both a and b and count once on either side" in caplog.text


def test_repeats_are_counted_and_warned_of_unless_they_are_of_one_source(
    caplog: pytest.LogCaptureFixture,
) -> None:
    texts = taken([20] * 15, 0)
    ten_times = [document._replace(position=nth) for nth, document in enumerate(texts * 10)]
    other = taken([20] * 150, 1)
    sides = prepare_sides((corpus("a", 150), corpus("b", 150)), (ten_times, other), match=True)
    assert [side.exact_duplicates for side in sides.corpora] == [135, 0]
    assert "a: of 150 documents 135 repeat one of another source word for word, and 0 nearly" in caplog.text
    caplog.clear()
    known = corpus("a", 150, [str(nth % 15) for nth in range(150)])
    sides = prepare_sides((known, corpus("b", 150)), (ten_times, other), match=False)
    assert (sides.corpora[0].sources, sides.corpora[0].exact_duplicates) == (15, 0)
    assert "repeat" not in caplog.text


def test_near_duplicates_on_both_sides_and_few_sources_are_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, other = taken([60] * 3, 0), taken([60] * 3, 1)
    ids = one[1].ids.copy()
    ids[-1] += 1
    other[2] = other[2]._replace(ids=ids)
    prepare_sides((corpus("a", 3), corpus("b", 3)), (one, other), match=True)
    assert "1 documents of b say nearly the same as one of a" in caplog.text
    assert "a: 3 sources are too few for an interval to hold, and no p can be below 0.05" in caplog.text


def chunked(path: Path, seed: int) -> Path:
    """20 texts of one source, ten times each, as pages that are cut into chunks."""
    texts = hosts.sentences(hosts.WORDS[6:], 20, seed)
    lines = [
        {"text": f"{text} c{copy % 8}", "url": f"{seed}/{nth}"}
        for copy in range(10)
        for nth, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_ten_near_copies_of_a_text_are_evidence_only_while_nobody_knows(
    tmp_path: Path, gemma3: Path, random_saes: str, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = (gemma3, random_saes, chunked(tmp_path / "a.jsonl", 0), chunked(tmp_path / "b.jsonl", 1), *DRAWS)
    inputs += ("--dictionaries", "", "--twins", "")
    diagnose(tmp_path / "apart", *inputs)
    diagnose(tmp_path / "together", *inputs, "--group-field", "url")
    apart, together = (read_diagnosis(tmp_path / name) for name in ("apart", "together"))
    p_values = [[entry.null.p for entry in one.layers if entry.null] for one in (apart, together)]
    assert max(p_values[0]) == 0.01
    assert min(p_values[1]) > 0.05
    assert apart.target.exact_duplicates + apart.target.near_duplicates >= 130
    assert "repeat one of another source" in caplog.text
    assert (together.target.sources, together.target.near_duplicates) == (20, 0)


def test_short_and_few_against_long_and_many_documents_of_one_source_is_no_difference(
    tmp_path: Path, gemma3: Path, random_saes: str
) -> None:
    words = hosts.WORDS[6:]
    short = hosts.write_jsonl(tmp_path / "short.jsonl", hosts.sentences(words, 12, 0, length=6))
    long = hosts.write_jsonl(tmp_path / "long.jsonl", hosts.sentences(words, 48, 1, length=60))
    diagnose(tmp_path / "matched", gemma3, random_saes, short, long, *DRAWS)
    diagnose(tmp_path / "as_they_are", gemma3, random_saes, short, long, *DRAWS, "--no-match")
    matched, as_they_are = (read_diagnosis(tmp_path / name) for name in ("matched", "as_they_are"))
    assert min(entry.null.p for entry in matched.layers if entry.null) > 0.05
    assert max(entry.null.p for entry in as_they_are.layers if entry.null) == 0.01
    assert matched.target.tokens == matched.controls[0].tokens
    assert as_they_are.controls[0].tokens_a_document > 5 * as_they_are.target.tokens_a_document


def test_a_layer_is_as_specific_as_the_nearest_of_several_controls_lets_it_be(
    tmp_path: Path, legible: Path, planted_saes: str, maths: Path, more_maths: Path, prose: Path
) -> None:
    result = diagnose(
        tmp_path / "out", legible, planted_saes, maths, prose, "--control", str(more_maths), *DRAWS
    )
    diagnosis = read_diagnosis(tmp_path / "out")
    assert [control.name for control in diagnosis.controls] == [str(prose), str(more_maths)]
    layer = diagnosis.layers[1]
    assert [one.control for one in layer.against] == [str(prose), str(more_maths)]
    assert layer.score == layer.against[1].score < layer.against[0].score
    assert layer.null is not None
    assert layer.null.p > 0.05
    assert f"against {more_maths}" in result.output
    assert UsageReader(tmp_path / "out").documents.controls == range(1, 3)
    assert "control" not in diagnosis.settings
