"""What lies in a corpus' file or data set, one document after another: text, and what it is a part of.

JSON lines, plain text, parquet, gzipped or not; data sets of the Hub. What is made of the documents is
:mod:`sae_merge_method.corpora.documents`' business.
"""

import gzip
import json
import math
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.errors import CorpusError, UsageError

# A Hub name, then perhaps a configuration and a split; a name of one part is written with a colon,
# so that a misspelt file is not looked for on the Hub.
_DATASET = re.compile(r"(?P<name>[\w.-]+/[\w.-]+|[\w.-]+(?=:))(:(?P<config>[^:/]*))?(:(?P<split>[^:/]+))?")
_DEFAULT_SPLIT = "train"
_SURROGATE = re.compile("[\ud800-\udfff]")
"""What no text holds, though JSON may: no tokenizer and no file takes it."""


class Fields(NamedTuple):
    """Names of the fields or columns that are read."""

    text: str
    """Of the text; of several, with commas between them, the first that is there."""
    source: str | None = None
    """Of what a document is a part; None where nobody asks."""

    def text_among(self, there: Collection[str]) -> str | None:
        """The field of the text among those that are there; None for none."""
        return next((name for name in (self.text, *self.text.split(",")) if name in there), None)

    def columns(self, there: Sequence[str]) -> list[str]:
        """Those of a table's columns that are read."""
        return [name for name in there if name in (self.text_among(there), self.source, *Problem._fields)]


class Problem(NamedTuple):
    """A document that is a prompt and its answer: fields ``prompt`` and ``completion``."""

    prompt: str
    completion: str


class Row(NamedTuple):
    """One document as its file holds it."""

    text: str
    source: str | None = None
    problem: Problem | None = None
    """Prompt and answer, where it has both fields."""


def is_dataset_name(source: str) -> bool:
    """Whether ``source`` reads as ``name[:config[:split]]`` and not as a file."""
    suffix = Path(source.partition(":")[0]).suffix.lower()
    return suffix not in (*_READERS, ".gz") and _DATASET.fullmatch(source) is not None


def read_bytes(path: Path) -> bytes:
    """The whole file as it lies on disk.

    Raises:
        CorpusError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read the corpus {path}: {error.strerror}") from error


def file_rows(path: Path, raw: bytes, fields: Fields) -> Iterator[Row]:
    """Documents in the bytes of a file, blank ones too, read by what its name ends in.

    Raises:
        CorpusError: It is not of that kind, or lacks a field.
        UsageError: A source is asked of plain text.
    """
    name = path.name.lower()
    if name.endswith(".gz"):
        name = name.removesuffix(".gz")
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise CorpusError(f"expected gzip at {path}: {error}") from error
    suffix = Path(name).suffix
    if suffix in _TABLES:
        raise CorpusError(
            f"{path} is a table ({suffix}): expected JSON lines, parquet or plain text; pandas reads it, and "
            'writes it by to_json("...jsonl", orient="records", lines=True)'
        )
    return _READERS.get(suffix, _lines)(path, raw, fields)


def _lines(path: Path, raw: bytes, fields: Fields) -> Iterator[Row]:
    if fields.source is not None:
        raise UsageError(
            f"--group-field {fields.source}: {path} is plain text, a document a line, without fields"
        )
    yield from map(Row, _text(path, raw).split("\n"))


def _json_lines(path: Path, raw: bytes, fields: Fields) -> Iterator[Row]:
    for number, line in enumerate(_text(path, raw).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise CorpusError(f"expected one JSON object a line at {path}:{number}: {error}") from error
        if not isinstance(value, dict):
            raise CorpusError(f"expected a JSON object at {path}:{number}, got {type(value).__name__}")
        if not isinstance(value.get(fields.text_among(value)), str) and _problem(value) is None:
            raise CorpusError(
                f"expected text in the field {fields.text!r}, or in prompt and completion, at "
                f"{path}:{number}, found fields {sorted(value)} (--text-field names another)"
            )
        yield _row(value, fields, f"{path}:{number}")


def _parquet(path: Path, raw: bytes, fields: Fields) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(pyarrow.BufferReader(raw))
        _check_columns(table.schema_arrow.names, fields, str(path))
        for batch in table.iter_batches(columns=fields.columns(table.schema_arrow.names)):
            for row in batch.to_pylist():
                yield _row(row, fields, str(path))
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(f"expected a parquet file at {path}: {error}") from error


_READERS: dict[str, Callable[[Path, bytes, Fields], Iterator[Row]]] = {
    ".txt": _lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_lines,
    ".parquet": _parquet,
}
"""How a file is read, by what its name ends in; any other is read as text."""
_TABLES = (".csv", ".tsv", ".xlsx")
"""What would pass for text, its header and separators with it."""


def dataset_rows(source: str, fields: Fields, max_documents: int | None) -> Iterator[Row]:
    """Documents of a Hub data set, streamed; from the cache where the Hub is switched off.

    Raises:
        CorpusError: It cannot be had, or lacks a column.
        UsageError: Nobody says how much of it to take.
    """
    if max_documents is None:
        raise UsageError(
            f"{source} is a data set and may be huge: --max-documents says how much of it to take "
            "(a local file would have to exist)"
        )
    import datasets

    match = _DATASET.fullmatch(source)
    assert match is not None, source  # is_dataset_name has seen to that
    split = match["split"] or _DEFAULT_SPLIT
    offline = bool(datasets.config.HF_HUB_OFFLINE)
    try:
        rows = datasets.load_dataset(
            match["name"], match["config"] or None, split=split, streaming=not offline
        )
        for row in rows:
            _check_columns(sorted(row), fields, source)
            yield _row(row, fields, source)
    except (OSError, ValueError, RuntimeError) as error:
        raise CorpusError(f"cannot read the data set {source}: {error}") from error


def _text(path: Path, raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"expected UTF-8 text at {path}, got binary at byte {error.start}") from error
    if "\0" in text:
        raise CorpusError(f"expected text at {path}, got binary: it holds NUL bytes")
    return text


def _row(row: Mapping[str, Any], fields: Fields, where: str) -> Row:
    """One document of a mapping from field names to values."""
    problem = _problem(row)
    text = row.get(fields.text_among(row) or fields.text)
    if text is None and problem is not None:
        text = problem.prompt + problem.completion
    if not isinstance(text, str):
        raise CorpusError(
            f"expected text in the column {fields.text!r} of {where}, got {type(text).__name__}"
        )
    if _SURROGATE.search(text):
        raise CorpusError(
            f"expected text at {where}, got half of a surrogate pair: a character was cut in two"
        )
    if fields.source is None:
        return Row(text, problem=problem)
    if fields.source not in row:
        raise CorpusError(
            f"expected a field {fields.source!r} at {where}, found fields {sorted(row)} "
            "(--group-field names another)"
        )
    source = row[fields.source]
    if isinstance(source, float):
        # pandas writes whole numbers with gaps as decimals, and the gaps as NaN.
        source = None if math.isnan(source) else int(source) if source.is_integer() else source
    if isinstance(source, bool) or not isinstance(source, str | int | None):
        raise CorpusError(
            f"expected text or a whole number in the field {fields.source!r} at {where}, "
            f"got {type(source).__name__}"
        )
    return Row(text, None if source is None else str(source), problem)


def _problem(row: Mapping[str, Any]) -> Problem | None:
    prompt, completion = (row.get(name) for name in Problem._fields)
    if isinstance(prompt, str) and isinstance(completion, str) and completion.strip():
        return Problem(prompt, completion)
    return None


def _check_columns(names: list[str], fields: Fields, where: str) -> None:
    has_text = fields.text_among(names) is not None or set(Problem._fields) <= set(names)
    has_source = fields.source is None or fields.source in names
    if not (has_text and has_source):
        column, option = (fields.source, "--group-field") if has_text else (fields.text, "--text-field")
        raise CorpusError(f"expected a column {column!r} in {where}, found {names} ({option} names another)")
