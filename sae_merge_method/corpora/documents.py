"""Documents of a corpus, where each is from, and what identifies the whole.

How files and data sets are read is :mod:`sae_merge_method.corpora.reading`'s business, tokens are another
module's: here a document is a string.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sae_merge_method.corpora.reading import (
    Fields,
    Problem,
    Row,
    dataset_rows,
    file_rows,
    is_dataset_name,
    read_bytes,
)
from sae_merge_method.errors import CorpusError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """The documents of one side, in file order, and what identifies them."""

    name: str
    """As the user wrote it."""
    sha256: str
    """sha256 of the file as it lies on disk; of a data set, over the documents taken, and over prompts and
    answers where all have them."""
    documents: tuple[str, ...]
    sources: tuple[str | None, ...] | None = None
    """What each document is a part of: a page, a book, a thread; None for a document that is all of its own
    source. None as a whole where no field was named that tells."""
    problems: tuple[Problem, ...] | None = None
    """Prompt and answer of each document; None where one of them has not both fields."""


def read_corpus(
    source: str, text_field: str = "text", max_documents: int | None = None, group_field: str | None = None
) -> Corpus:
    """Read a corpus; blank documents are left out.

    Args:
        source: A file: ``.jsonl``/``.ndjson``/``.json`` with one object a line, ``.parquet``, anything
            else as text with one document a line; ``.gz`` may stand behind. Or a Hub data set,
            ``name[:config[:split]]``.
        text_field: Field or column that holds the text. Where there is none, but ``prompt`` and
            ``completion``, the text is one behind the other.
        max_documents: Take only the first so many.
        group_field: Field or column that says which source a document is a part of, text or a whole number.
            A document with null there is a source of its own.

    Raises:
        CorpusError: Missing, empty, binary, or without a field.
        UsageError: A data set without ``max_documents``: it may be larger than any disk. Or plain text, which
            has no fields, with ``group_field``.
    """
    path, fields = Path(source), Fields(text_field, group_field)
    is_file = path.is_file() or not is_dataset_name(source)
    raw = read_bytes(path) if is_file else b""
    rows = file_rows(path, raw, fields) if is_file else dataset_rows(source, fields, max_documents)
    taken: list[Row] = []
    for row in rows:
        if max_documents is not None and len(taken) == max_documents:
            break
        if row.text.strip():
            taken.append(row._replace(text=row.text.removesuffix("\r")))
    if not taken:
        raise CorpusError(f"the corpus {source} is empty: none of its documents holds any text")
    documents = tuple(row.text for row in taken)
    sources = None if group_field is None else tuple(row.source for row in taken)
    if sources is not None and None in sources:
        logger.warning(
            "%s: %d documents have no %s; each counts as a source of its own",
            source, sources.count(None), group_field,
        )  # fmt: skip
    problems = tuple(row.problem for row in taken if row.problem is not None)
    if 0 < len(problems) < len(taken):
        logger.warning(
            "%s: %d of %d documents have a prompt and a completion, the others none: losses are of whole "
            "texts, not of answers",
            source, len(problems), len(taken),
        )  # fmt: skip
    asked = problems if len(problems) == len(taken) else None
    read = (*documents, *(part for problem in asked or () for part in problem))
    hashed = raw if is_file else b"".join(sha256(text.encode()).digest() for text in read)
    return Corpus(source, sha256(hashed).hexdigest(), documents, sources, asked)


def check_disjoint(corpora: Sequence[Corpus]) -> None:
    """Refuse corpora that share documents: what stands on both sides cannot tell them apart.

    Documents are the same if they differ in nothing but white space.

    Raises:
        CorpusError: Two corpora share a document; the message names it and says how many there are.
    """
    seen: list[tuple[Corpus, set[str]]] = []
    for corpus in corpora:
        documents = {" ".join(document.split()) for document in corpus.documents}
        for other, of_other in seen:
            shared = documents & of_other
            if shared:
                first = min(shared)
                raise CorpusError(
                    f"{other.name} and {corpus.name} share {len(shared)} of their "
                    f"{len(of_other)} and {len(documents)} different documents, such as {first[:60]!r}: "
                    "expected text of the ability to edit, and text without it; leave them out on one side"
                )
        seen.append((corpus, documents))
