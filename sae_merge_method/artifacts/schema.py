"""What every file of ours shares: a frozen model that refuses unknown keys, read and written whole.

Artifacts are JSON, settings are YAML; both are :class:`Record` models.
"""

import json
import os
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function
from typing_extensions import override

from sae_merge_method.artifacts.strict_yaml import load_yaml
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files.regular import read_regular
from sae_merge_method.files.writing import canonical_json, write_text
from sae_merge_method.reports.notebook import view_html, view_of, view_text

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 3, 80, 80, 80


class Record(BaseModel):
    """Base of all artifact models: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the artifact's tables; None, and so plain text, where there are none."""
        view = view_of(self)
        return None if view is None else view_html(view)

    @override
    def __str__(self) -> str:
        view = view_of(self)
        return super().__str__() if view is None else view_text(view)


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a record of them keeps them: tuples as text, names with commas."""
    return {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in settings.items()}


@dataclass(frozen=True, eq=False)  # a dict has no hash, and typing asks for one
class OneOf:
    """Marks a field that names a member of a registry: ``score: Annotated[str, OneOf(SCORES)]``.

    The registry is asked when a value is read or help is shown, so that a member registered later
    counts as well.
    """

    members: Collection[str]
    """The registry: rows by name, or names alone."""
    read: Callable[[str], object] | None = None
    """Reads a text that a member's name begins, such as "top_k=3", into what ``str`` writes back;
    raises UsageError. None where the field is the bare name."""

    def choices(self) -> dict[str, str]:
        """How each member is written, its row's ``example`` or its name, and what it is: its row's
        ``summary`` or ``description``, or nothing."""
        rows = self.members if isinstance(self.members, Mapping) else dict.fromkeys(self.members)
        return {
            getattr(row, "example", name): getattr(row, "summary", getattr(row, "description", ""))
            for name, row in rows.items()
        }

    def checked(self, value: Any) -> Any:
        """The value, if it names a member.

        Raises:
            ValueError: It does not; the message lists the members.
        """
        if value is None:
            return value
        if self.read is not None:
            try:
                return str(self.read(value))
            except UsageError as error:
                raise ValueError(str(error)) from error
        if value not in self.members:
            raise ValueError(f"expected one of {', '.join(self.members)}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self.checked, handler(source))

    def __get_pydantic_json_schema__(
        self, source: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        members = {"enum": list(self.members)} if self.read is None else {"examples": list(self.choices())}
        return {**handler(source), **members}


def _as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


Location = Annotated[str, BeforeValidator(_as_text)]
"""A model, file or folder, as its user wrote it: text that may come as a ``Path``."""


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str | os.PathLike) else value


Locations = Annotated[tuple[Location, ...], BeforeValidator(_as_list)]
"""One or several of them; one may be written without a list."""


RecordT = TypeVar("RecordT", bound=Record)


def read_record(path: Path, kind: type[RecordT], what: str) -> RecordT:
    """Read a JSON artifact.

    Args:
        path: The file.
        kind: Model to read it as.
        what: How a message names the artifact, for example "a diagnosis".

    Raises:
        ArtifactError: Missing, not JSON, or not of this kind; the message names the first faults.
    """
    try:
        value = json.loads(read_regular(path).decode("utf-8-sig"))
    except OSError as error:
        raise ArtifactError(f"cannot read {what} at {path}: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ArtifactError(f"expected {what} (JSON) at {path}: {error}") from error
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ArtifactError(f"{path} is not {what} that can be read:\n{describe(error)}") from error


def write_record(path: Path, record: Record) -> None:
    """Write a JSON artifact: same record, same bytes."""
    write_text(path, canonical_json(record.model_dump(mode="json")))


def read_settings(kind: type[RecordT], given: Mapping[str, Any], file: Path | None = None) -> RecordT:
    """Settings of a command: a YAML file's, overridden by what was given beside it.

    Args:
        kind: Model to read them as.
        given: Settings by name, from a command line or a call.
        file: YAML mapping of further settings.

    Raises:
        UsageError: The file is no YAML mapping, or a setting is missing, unknown or out of range; the
            message names the first faults.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            loaded = load_yaml(file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise UsageError(f"cannot read the settings {file}: {error}") from error
        if not isinstance(loaded, dict):
            needed = [f"{name}:" for name, field in kind.model_fields.items() if field.is_required()]
            raise UsageError(f"expected settings such as {' and '.join(needed[:2])} in {file}")
        values = loaded
    try:
        return kind.model_validate({**values, **given})
    except ValidationError as error:
        raise UsageError(f"{file or 'settings'} cannot be used:\n{describe(error)}") from error


def describe(error: ValidationError, most: int = 5, inside: tuple[str, ...] = ()) -> str:
    """The first faults pydantic found, a line each: where, what was expected, what came.

    ``inside`` is the place of the whole validated value, where it is part of another.
    """
    faults = error.errors(include_url=False, include_context=False)
    lines = [
        f"  {_place((*inside, *fault['loc']))}: {_expected(fault)}{_got(fault)}" for fault in faults[:most]
    ]
    if len(faults) > most:
        lines.append(f"  ... and {len(faults) - most} more")
    return "\n".join(lines)


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "(top level)"


def _expected(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "unknown key"
    return str(fault["msg"]).removeprefix("Value error, ")


def _got(fault: Any) -> str:
    if fault["type"] in ("missing", "extra_forbidden") or not fault["loc"] or ", got " in fault["msg"]:
        return ""  # no value came, or the message says which
    text = _SHORT.repr(fault["input"])
    return f", got {text if len(text) <= 80 else text[:77] + '...'}"
