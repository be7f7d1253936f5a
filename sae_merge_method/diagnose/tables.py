"""Documents in tables: parquet files, and data sets of the Hugging Face Hub."""

import re
from collections.abc import Iterator
from pathlib import Path

from sae_merge_method.errors import CorpusError, UsageError

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
