"""Documents of a corpus, whatever holds them, and what identifies it.

JSON lines (a field of each), plain text (a document a line), either of them gzipped; parquet
files; data sets of the Hub. Tokens are another module's business: here a document is a string.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.errors import CorpusError, UsageError

if TYPE_CHECKING:
    from hashlib import _Hash

# A Hub name, then perhaps a configuration and a split; a name of one part is written with a colon,
# so that a misspelt file is not looked for on the Hub.
_DATASET = re.compile(r"(?P<name>[\w.-]+/[\w.-]+|[\w.-]+(?=:))(:(?P<config>[^:/]*))?(:(?P<split>[^:/]+))?")
_DEFAULT_SPLIT = "train"


def is_dataset_name(source: str) -> bool:
    """Whether ``source`` reads as ``name[:config[:split]]`` and not as a file."""
    name = source.partition(":")[0]
    has_suffix = Path(name).suffix.lower() in (".jsonl", ".json", ".ndjson", ".txt", ".gz", ".parquet")
    return not has_suffix and _DATASET.fullmatch(source) is not None


def read_parquet(path: Path, column: str) -> Iterator[str]:
    """Documents in a column of a parquet file, read a batch of rows at a time.

    Raises:
        CorpusError: Not parquet, or no such column of text.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path)
        names = table.schema_arrow.names
        if column not in names:
            raise CorpusError(
                f"expected a column {column!r} in {path}, found {names} (--text-field names another)"
            )
        for batch in table.iter_batches(columns=[column]):
            for value in batch.column(0).to_pylist():
                yield _text(value, column, str(path))
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(f"expected a parquet file at {path}: {error}") from error


def read_dataset(source: str, column: str, max_documents: int | None) -> Iterator[str]:
    """Documents of a Hub data set, streamed; from the cache where the Hub is switched off.

    Args:
        source: ``name[:config[:split]]``; the split is "train" unless given.
        column: Column that holds the text.
        max_documents: Must be given: a data set may be larger than any disk.

    Raises:
        UsageError: Without ``max_documents``.
        CorpusError: No such data set, configuration, split or column.
    """
    if max_documents is None:
        raise UsageError(
            f"{source} is a data set and may be huge: --max-documents says how much of it to take "
            "(a local file would have to exist)"
        )
    import datasets

    match = _DATASET.fullmatch(source)
    assert match is not None, source  # is_dataset_name said so
    split = match["split"] or _DEFAULT_SPLIT
    offline = bool(datasets.config.HF_HUB_OFFLINE)
    try:
        rows = datasets.load_dataset(
            match["name"], match["config"] or None, split=split, streaming=not offline
        )
        for row in rows:
            if column not in row:
                raise CorpusError(
                    f"expected a column {column!r} in {source}, found {sorted(row)} "
                    "(--text-field names another)"
                )
            yield _text(row[column], column, source)
    except (OSError, ValueError, RuntimeError) as error:
        raise CorpusError(f"cannot read the data set {source}: {error}") from error


def _text(value: object, column: str, where: str) -> str:
    if not isinstance(value, str):
        raise CorpusError(f"expected text in the column {column!r} of {where}, got {type(value).__name__}")
    return value


_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")


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
        source: A file: ``.jsonl``/``.ndjson`` with one object a line, ``.parquet``, anything else as
            text with one document a line, ``.gz`` behind the text formats. Or a Hub data set,
            ``name[:config[:split]]``.
        text_field: Field or column that holds the text.
        max_documents: Take only the first so many.

    Raises:
        CorpusError: Missing, empty, binary, or without the field.
        UsageError: A data set without ``max_documents``.
    """
    path = Path(source)
    if path.is_file() or not is_dataset_name(source):
        digest, found = _read_file(path, text_field)
    else:
        found = read_dataset(source, text_field, max_documents)
        digest = sha256()
    documents: list[str] = []
    for document in found:
        if max_documents is not None and len(documents) == max_documents:
            break
        if document.strip():
            documents.append(document.removesuffix("\r"))
    if not documents:
        raise CorpusError(f"the corpus {source} is empty: none of its documents holds any text")
    if not path.is_file():
        for document in documents:
            digest.update(sha256(document.encode()).digest())
    return Corpus(source, digest.hexdigest(), tuple(documents))


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


def _read_file(path: Path, text_field: str) -> "tuple[_Hash, Iterator[str]]":
    """sha256 of the file's bytes, and its documents."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read the corpus {path}: {error.strerror}") from error
    name = path.name.lower()
    digest = sha256(raw)
    if name.endswith(".parquet"):
        return digest, read_parquet(path, text_field)
    if name.endswith(".gz"):
        name = name.removesuffix(".gz")
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise CorpusError(f"expected gzip at {path}: {error}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"expected UTF-8 text at {path}, got binary at byte {error.start}") from error
    if "\0" in text:
        raise CorpusError(f"expected text at {path}, got binary: it holds NUL bytes")
    if name.endswith(_JSON_SUFFIXES):
        return digest, _objects(path, text, text_field)
    return digest, iter(text.split("\n"))


def _objects(path: Path, text: str, field: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), start=1):
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
