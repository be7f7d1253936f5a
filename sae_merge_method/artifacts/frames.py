"""Records as rows of a pandas data frame. pandas is asked for only when a frame is made."""

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame


def as_frame(
    kind: type[Record], records: Sequence[Record], before: Sequence[Mapping[str, Any]] = ()
) -> "DataFrame":
    """A row a record, a column a field, numbers as they are in the artifact: unrounded.

    Fields of a record inside a record are columns of their own, ``null_p`` for ``p`` of ``null``, whether
    or not any row has one; lists of records, which would be rows of rows, are left out.

    Args:
        kind: What the records are: it says which columns there are when there is no record.
        records: The rows.
        before: As many mappings, whose values stand in front of the record's.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise UsageError("a data frame needs pandas: pip install pandas") from error
    starts = before or [{}] * len(records)
    rows = [{**start, **_flat(kind, record)} for start, record in zip(starts, records, strict=True)]
    return DataFrame(rows, columns=None if rows else list(_flat(kind, None)))


def _flat(kind: type[Record], record: Record | None, prefix: str = "") -> dict[str, Any]:
    """One row; without a record, its columns and None in each."""
    row: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        value = None if record is None else getattr(record, name)
        inner = _record(field.annotation)
        if inner is not None:
            row |= _flat(inner, value, f"{prefix}{name}_")
        elif not _lists_records(field.annotation):
            row[prefix + name] = value
    return row


def _record(annotation: Any) -> type[Record] | None:
    """The kind of record that a field holds, or may hold; None for any other value, and for lists."""
    alternatives = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    for one in alternatives:
        if isinstance(one, type) and issubclass(one, Record):
            return one
    return None


def _lists_records(annotation: Any) -> bool:
    return any(_record(one) is not None or _lists_records(one) for one in get_args(annotation))
