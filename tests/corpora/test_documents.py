import gzip
import json
from hashlib import sha256
from pathlib import Path

import pytest

from sae_merge_method.corpora.documents import check_disjoint, read_corpus
from sae_merge_method.errors import CorpusError, UsageError


def test_a_json_line_is_a_document_and_blank_ones_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one\\ntwo"}\n\n{"text": "  "}\n{"text": "three"}\n')
    assert read_corpus(str(path)).documents == ("one\ntwo", "three")


def test_a_text_line_is_a_document_whatever_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\x0bstill two\n")
    assert read_corpus(str(path)).documents == ("one", "two\x0bstill two")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.txt.gz", "a.JSON.GZ"])
def test_gzip_is_read_by_the_name_before_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    line = json.dumps({"text": "one"}) if "json" in name.lower() else "one"
    path.write_bytes(gzip.compress(f"{line}\n".encode()))
    assert read_corpus(str(path)).documents == ("one",)


def test_a_file_is_identified_by_its_bytes_whatever_is_taken_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo\n")
    digest = sha256(path.read_bytes()).hexdigest()
    assert read_corpus(str(path)).sha256 == read_corpus(str(path), max_documents=1).sha256 == digest


def test_prompts_and_completions_are_documents_one_behind_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "2 + 2 =", "completion": " 4"}\n{"prompt": "3 + 1 =", "completion": " 4"}\n')
    corpus = read_corpus(str(path))
    assert corpus.documents == ("2 + 2 = 4", "3 + 1 = 4")
    assert corpus.problems == (("2 + 2 =", " 4"), ("3 + 1 =", " 4"))


def test_a_text_of_its_own_stands_beside_prompt_and_completion(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow
    from pyarrow import parquet

    rows = [{"text": "told", "prompt": "2 + 2 =", "completion": " 4"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    corpus = read_corpus(str(tmp_path / "a.parquet"))
    assert corpus.documents == ("told",)
    assert corpus.problems == (("2 + 2 =", " 4"),)


def test_of_several_fields_each_corpus_gives_the_first_that_it_has(tmp_path: Path) -> None:
    rows = {"code.jsonl": {"content": "x = 1", "text": "no"}, "prose.jsonl": {"text": "once"}}
    for name, row in rows.items():
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    given = [read_corpus(str(tmp_path / name), "content,text").documents for name in rows]
    assert given == [("x = 1",), ("once",)]
    with pytest.raises(CorpusError, match="expected text in the field 'a,b'"):
        read_corpus(str(tmp_path / "code.jsonl"), "a,b")
    assert read_corpus(str(tmp_path / "prose.jsonl"), "content,text", 1).documents == ("once",)
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pylist([rows["code.jsonl"]]), tmp_path / "a.parquet")
    assert read_corpus(str(tmp_path / "a.parquet"), "content,text").documents == ("x = 1",)
    with pytest.raises(CorpusError, match="expected a column 'a,b' in .*--text-field names another"):
        read_corpus(str(tmp_path / "a.parquet"), "a,b")


@pytest.mark.parametrize("other", ['{"text": "four"}', '{"prompt": "f", "completion": "", "text": "four"}'])
def test_where_one_document_has_no_answer_none_is_asked_for_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, other: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "2 + 2 =", "completion": " 4"}\n' + other)
    corpus = read_corpus(str(path))
    assert corpus.documents == ("2 + 2 = 4", "four")
    assert corpus.problems is None
    assert "1 of 2 documents have a prompt and a completion, the others none" in caplog.text


def test_only_the_first_documents_are_taken_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\nthree\n")
    assert read_corpus(str(path), max_documents=2).documents == ("one", "two")


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("empty.jsonl", b"", "is empty"),
        ("blank.txt", b"\n \n", "is empty"),
        ("binary.txt", b"\x80\x81", "binary at byte 0"),
        ("nul.txt", b"a\0b", "NUL"),
        ("broken.jsonl", b'{"text": "a"}\n{"text"', "broken.jsonl:2"),
        ("list.jsonl", b"[1]\n", "JSON object"),
        ("field.jsonl", b'{"body": "a"}\n', "found fields ['body'] (--text-field"),
        ("number.jsonl", b'{"text": 1}\n', "expected text in the field 'text'"),
        ("half.jsonl", b'{"text": "a \\ud83d b"}', "half.jsonl:1, got half of a surrogate pair"),
        ("table.csv", b"text,n\na,1\n", "is a table (.csv): expected JSON lines"),
        ("table.tsv.gz", gzip.compress(b"text\tn\na\t1\n", mtime=0), "is a table (.tsv)"),
        ("not.jsonl.gz", b"plain", "expected gzip"),
        ("cut.jsonl.gz", gzip.compress(b'{"text": "abc"}\n', mtime=0)[:-9], "expected gzip"),
    ],
)
def test_what_is_no_corpus_is_refused_with_the_reason(
    tmp_path: Path, name: str, data: bytes, complaint: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CorpusError) as caught:
        read_corpus(str(path))
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot read the corpus"):
        read_corpus(str(tmp_path / "none.jsonl"))


def test_corpora_that_share_a_document_are_refused_whatever_order_format_and_white_space(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo  words\nthree\n")
    (tmp_path / "b.jsonl").write_text('{"text": "four"}\n{"text": " two\\nwords "}\n')
    (tmp_path / "c.txt").write_text("five\n")
    a, b, c = (read_corpus(str(tmp_path / name)) for name in ("a.txt", "b.jsonl", "c.txt"))
    with pytest.raises(CorpusError, match=r"a.txt and .*b.jsonl share 1 of their 3 and 2 .*'two words'"):
        check_disjoint([c, a, b])
    check_disjoint([a, c])


def test_sources_are_read_beside_the_text_and_a_document_without_one_is_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [("one", "u"), (" ", "u"), ("two", None), ("three", "v"), ("four", "u")]
    lines, columns = tmp_path / "a.jsonl", tmp_path / "a.parquet"
    lines.write_text("".join(json.dumps({"text": text, "url": url}) + "\n" for text, url in rows))
    texts, urls = zip(*rows, strict=True)
    parquet.write_table(pyarrow.table({"url": list(urls), "text": list(texts)}), columns)
    for path in (lines, columns):
        corpus = read_corpus(str(path), group_field="url")
        assert corpus.documents == ("one", "two", "three", "four")
        assert corpus.sources == ("u", None, "v", "u")
        assert read_corpus(str(path)).sources is None
    assert "1 documents have no url; each counts as a source of its own" in caplog.text
    lines.write_text('{"text": "one", "id": 7}\n{"text": "two", "id": 7.0}\n{"text": "three", "id": NaN}\n')
    assert read_corpus(str(lines), group_field="id").sources == ("7", "7", None)


@pytest.mark.parametrize(
    ("name", "line", "error", "complaint"),
    [
        ("a.jsonl", '{"text": "one"}', CorpusError, "expected a field 'url' at .*a.jsonl:1, found fields"),
        (
            "a.jsonl",
            '{"text": "one", "url": [1]}',
            CorpusError,
            "expected text or a whole number .* got list",
        ),
        ("a.jsonl", '{"text": "one", "url": true}', CorpusError, "got bool"),
        ("a.jsonl", '{"text": "one", "url": 0.5}', CorpusError, "got float"),
        ("a.txt", "one", UsageError, "--group-field url: .*a.txt is plain text"),
    ],
)
def test_a_source_that_is_not_there_or_none_is_an_error(
    tmp_path: Path, name: str, line: str, error: type[Exception], complaint: str
) -> None:
    (tmp_path / name).write_text(line + "\n")
    with pytest.raises(error, match=complaint):
        read_corpus(str(tmp_path / name), group_field="url")


def test_parquet_is_read_by_its_column(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["one", " ", "two"], "n": [1, 2, 3]}), path)
    assert read_corpus(str(path)).documents == ("one", "two")
    with pytest.raises(CorpusError, match="expected a column 'body'"):
        read_corpus(str(path), "body")
    with pytest.raises(CorpusError, match="expected text in the column 'n'"):
        read_corpus(str(path), "n")
    path.write_bytes(b"no parquet")
    with pytest.raises(CorpusError, match="expected a parquet file"):
        read_corpus(str(path))
