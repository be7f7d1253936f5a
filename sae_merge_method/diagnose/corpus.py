"""Corpora on disk: which documents a file holds.

JSON lines (a field of each), plain text (a document a line), either of them gzipped. Tokens are
another module's business: here a document is a string.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sae_merge_method.errors import CorpusError

_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Corpus:
    """The documents of one side, in file order, and what identifies them."""

    name: str
    """As the user wrote it."""
    sha256: str
    """sha256 of the file as it lies on disk."""
    documents: tuple[str, ...]


def read_corpus(path: Path, text_field: str = "text", max_documents: int | None = None) -> Corpus:
    """Read a corpus; blank documents are left out.

    Args:
        path: ``.jsonl``/``.ndjson`` with one object a line, anything else as text with one
            document a line; ``.gz`` behind either.
        text_field: Field of the objects that holds the text.
        max_documents: Take only the first so many.

    Raises:
        CorpusError: Missing, empty, binary, or an object without the field.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read the corpus {path}: {error.strerror}") from error
    name = path.name.lower()
    data = raw
    if name.endswith(".gz"):
        name = name[: -len(".gz")]
        try:
            data = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise CorpusError(f"expected gzip at {path}: {error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"expected UTF-8 text at {path}, got binary at byte {error.start}") from error
    if "\0" in text:
        raise CorpusError(f"expected text at {path}, got binary: it holds NUL bytes")
    lines = _objects(path, text, text_field) if name.endswith(_JSON_SUFFIXES) else iter(text.split("\n"))
    documents: list[str] = []
    for document in lines:
        if max_documents is not None and len(documents) == max_documents:
            break
        if document.strip():
            documents.append(document.removesuffix("\r"))
    if not documents:
        raise CorpusError(f"the corpus {path} is empty: no line of it holds any text")
    return Corpus(str(path), sha256(raw).hexdigest(), tuple(documents))


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
