"""Documents of a corpus, whatever holds them, and what identifies it.

JSON lines (a field of each), plain text (a document a line) and parquet files (a column), gzipped or not;
data sets of the Hub. Tokens are another module's business: here a document is a string.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sae_merge_method.errors import CorpusError, UsageError

# A Hub name, then perhaps a configuration and a split; a name of one part is written with a colon,
# so that a misspelt file is not looked for on the Hub.
_DATASET = re.compile(r"(?P<name>[\w.-]+/[\w.-]+|[\w.-]+(?=:))(:(?P<config>[^:/]*))?(:(?P<split>[^:/]+))?")
_DEFAULT_SPLIT = "train"


@dataclass(frozen=True)
class Corpus:
    """The documents of one side, in file order, and what identifies them."""

    name: str
    """As the user wrote it."""
    sha256: str
    """sha256 of the file as it lies on disk; of a data set, over the documents taken."""
    documents: tuple[str, ...]


def read_corpus(source: str, text_field: str = "text", max_documents: int | None = None) -> Corpus:
    """Read a corpus; blank documents are left out.

    Args:
        source: A file: ``.jsonl``/``.ndjson``/``.json`` with one object a line, ``.parquet``, anything
            else as text with one document a line; ``.gz`` may stand behind. Or a Hub data set,
            ``name[:config[:split]]``.
        text_field: Field or column that holds the text.
        max_documents: Take only the first so many.

    Raises:
        CorpusError: Missing, empty, binary, or without the field.
        UsageError: A data set without ``max_documents``: it may be larger than any disk.
    """
    path = Path(source)
    is_file = path.is_file() or not is_dataset_name(source)
    raw = _read_bytes(path) if is_file else b""
    rows = _file_rows(path, raw, text_field) if is_file else _dataset_rows(source, text_field, max_documents)
    documents: list[str] = []
    for document in rows:
        if max_documents is not None and len(documents) == max_documents:
            break
        if document.strip():
            documents.append(document.removesuffix("\r"))
    if not documents:
        raise CorpusError(f"the corpus {source} is empty: none of its documents holds any text")
    hashed = raw if is_file else b"".join(sha256(document.encode()).digest() for document in documents)
    return Corpus(source, sha256(hashed).hexdigest(), tuple(documents))


def check_different(target: Corpus, control: Corpus) -> None:
    """Refuse two corpora with nothing to tell apart.

    Raises:
        CorpusError: Both hold the same documents, in whatever order.
    """
    if sorted(target.documents) == sorted(control.documents):
        raise CorpusError(
            f"target {target.name} and control {control.name} hold the same documents: "
            "expected text of the ability to edit, and text without it"
        )


def is_dataset_name(source: str) -> bool:
    """Whether ``source`` reads as ``name[:config[:split]]`` and not as a file."""
    suffix = Path(source.partition(":")[0]).suffix.lower()
    return suffix not in (*_READERS, ".gz") and _DATASET.fullmatch(source) is not None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read the corpus {path}: {error.strerror}") from error


def _file_rows(path: Path, raw: bytes, field: str) -> Iterator[str]:
    """Documents in the bytes of a file, blank ones too, read by what its name ends in."""
    name = path.name.lower()
    if name.endswith(".gz"):
        name = name.removesuffix(".gz")
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise CorpusError(f"expected gzip at {path}: {error}") from error
    return _READERS.get(Path(name).suffix, _lines)(path, raw, field)


def _lines(path: Path, raw: bytes, _: str) -> Iterator[str]:
    yield from _text(path, raw).split("\n")


def _json_lines(path: Path, raw: bytes, field: str) -> Iterator[str]:
    for number, line in enumerate(_text(path, raw).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise CorpusError(f"expected one JSON object a line at {path}:{number}: {error}") from error
        if not isinstance(value, dict):
            raise CorpusError(f"expected a JSON object at {path}:{number}, got {type(value).__name__}")
        document = value.get(field)
        if not isinstance(document, str):
            raise CorpusError(
                f"expected text in the field {field!r} at {path}:{number}, "
                f"found fields {sorted(value)} (--text-field names another)"
            )
        yield document


def _parquet(path: Path, raw: bytes, column: str) -> Iterator[str]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(pyarrow.BufferReader(raw))
        names = table.schema_arrow.names
        if column not in names:
            raise _no_column(column, str(path), names)
        for batch in table.iter_batches(columns=[column]):
            for value in batch.column(0).to_pylist():
                yield _string(value, column, str(path))
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(f"expected a parquet file at {path}: {error}") from error


_READERS: dict[str, Callable[[Path, bytes, str], Iterator[str]]] = {
    ".txt": _lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_lines,
    ".parquet": _parquet,
}
"""How a file is read, by what its name ends in; any other is read as text."""


def _dataset_rows(source: str, column: str, max_documents: int | None) -> Iterator[str]:
    """Documents of a Hub data set, streamed; from the cache where the Hub is switched off."""
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
            if column not in row:
                raise _no_column(column, source, sorted(row))
            yield _string(row[column], column, source)
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


def _string(value: Any, column: str, where: str) -> str:
    if not isinstance(value, str):
        raise CorpusError(f"expected text in the column {column!r} of {where}, got {type(value).__name__}")
    return value


def _no_column(column: str, where: str, names: list[str]) -> CorpusError:
    return CorpusError(f"expected a column {column!r} in {where}, found {names} (--text-field names another)")
