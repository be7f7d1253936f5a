"""One log of inspect_ai, ``.eval`` or JSON: its header and what each sample asked, answered and scored.

The layout is inspect_ai's log format, version 2; the package need not be there. A ``.eval`` file is a zip of
JSON: its members are read by their known names, up to a bounded size each, and nothing is unpacked. What the
scores come to is ``inspect_scores``' affair.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.regular import open_regular, read_regular

SUFFIX = ".eval"
MOST_BYTES = 256 * 2**20
"""Of one member of a ``.eval`` file, as it is unpacked: a sample with all its messages is far smaller."""
_HEAD_BYTES = 2**16
"""Within so many a JSON log names its evaluation: inspect_ai writes the header first."""
_HEADER, _START, _REDUCTIONS, _SAMPLES = "header.json", "_journal/start.json", "reductions.json", "samples/"
_UNFINISHED = {
    "started": "is not finished",
    "cancelled": "was cancelled",
    "error": "ended with an error",
}


class Answered(NamedTuple):
    """One sample in one epoch."""

    id: str
    """Of the problem, the same in every epoch and run."""
    epoch: int
    """From 1."""
    input: str
    """What was asked; of a conversation its messages."""
    input_hash: str
    """Hash of it."""
    target_hash: str
    """Hash of the target."""
    target: str
    """What was expected."""
    text: str | None
    """What the model wrote; None where there is no text."""
    values: Mapping[str, Any]
    """Score by the scorer's name, as the log has it."""
    answers: Mapping[str, str | None]
    """Answer that each scorer found in the text."""
    failed: bool
    """Whether the sample itself ended with an error."""


class Log(NamedTuple):
    """One evaluation of one task."""

    path: Path
    header: Mapping[str, Any]
    """All but the samples and reductions."""
    samples: tuple[Answered, ...]
    """In the log's order."""
    reductions: tuple[Mapping[str, Any], ...]
    """Each sample's score over its epochs, as inspect_ai reduced it; empty where the log has none."""


def is_log(path: Path) -> bool:
    """Whether a file is a log of inspect_ai's: by its name, or as JSON by what it holds."""
    if path.suffix == SUFFIX:
        return path.is_file()
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
            if b'"eval"' not in stream.read(_HEAD_BYTES):
                return False  # and however large, it is not parsed
        raw = from_json(read_regular(path))
    except (OSError, ValueError):
        return False
    return isinstance(raw, dict) and {"status", "eval"} <= raw.keys()


def read_header(path: Path) -> Mapping[str, Any]:
    """What a log says of its evaluation, whatever became of it.

    Raises:
        ArtifactError: Damaged, or not even begun.
    """
    with _named(path):
        if path.suffix != SUFFIX:
            return _plain(path)[0]
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            # The header is written at the end; until then the journal says what was begun.
            name = _HEADER if _HEADER in names else _START
            header: Mapping[str, Any] = {"status": "started", **_member(archive, name)}
            return header


def read_log(path: Path) -> Log:
    """Read a log whose evaluation succeeded.

    Raises:
        ArtifactError: Damaged, too large, not finished, cancelled, ended with an error, or without samples.
    """
    require_success(path, read_header(path))
    with _named(path):
        header, samples, reductions = _zipped(path) if path.suffix == SUFFIX else _plain(path)
        read = tuple(_answered(sample) for sample in samples)
    if not read:
        raise ArtifactError(f"{path} holds no samples: it was written with --no-log-samples")
    return Log(path, header, read, reductions)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What goes wrong with a file is told of that file."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"expected a log of inspect_ai at {path}: {error!r:.200}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # RuntimeError: encrypted; NotImplementedError, one of its children: another compression.
        raise ArtifactError(
            f"cannot unpack {path}: {error}; 'inspect log convert --to json' writes it as JSON"
        ) from error


Parts = tuple[Mapping[str, Any], Iterable[Mapping[str, Any]], tuple[Mapping[str, Any], ...]]


def _plain(path: Path) -> Parts:
    raw = from_json(read_regular(path))
    header = {key: value for key, value in raw.items() if key not in ("samples", "reductions")}
    return header, raw.get("samples") or (), tuple(raw.get("reductions") or ())


def _zipped(path: Path) -> Parts:
    read_from = zipfile.ZipFile(path)
    names = frozenset(read_from.namelist())
    header = _member(read_from, _HEADER)
    reductions = _member(read_from, _REDUCTIONS) if _REDUCTIONS in names else ()

    def samples() -> Iterator[Mapping[str, Any]]:
        with read_from:
            for name in read_from.namelist():
                if name.startswith(_SAMPLES) and name.endswith(".json"):
                    yield _member(read_from, name)

    return header, samples(), tuple(reductions or ())


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    """A member's JSON; what its directory says of its size is not believed."""
    with archive.open(name) as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{name} is larger than {MOST_BYTES} bytes")
    return from_json(data)


def require_success(path: Path, header: Mapping[str, Any]) -> None:
    """Refuse an evaluation that did not come to its end.

    Raises:
        ArtifactError: It did not, and why.
    """
    status = header["status"]
    if status != "success":
        why = _UNFINISHED.get(status, f"has the status {status}")
        message = (header.get("error") or {}).get("message")
        raise ArtifactError(
            f"{path}: this evaluation {why}" + (f" ({message})" if message else "") + ": nothing is compared"
        )
    if header.get("invalidated"):
        raise ArtifactError(f"{path}: this evaluation was invalidated: nothing is compared")


def _answered(raw: Mapping[str, Any]) -> Answered:
    scores = raw.get("scores") or {}
    asked, target = _asked(raw["input"]), raw.get("target", "")
    return Answered(
        id=str(raw["id"]),
        epoch=int(raw.get("epoch") or 1),
        input=asked,
        input_hash=_hash([asked, raw.get("choices")]),
        target_hash=_hash(target),
        target=target if isinstance(target, str) else ", ".join(map(str, target)),
        text=_text(raw.get("output") or {}),
        values={name: score.get("value") for name, score in scores.items()},
        answers={name: score.get("answer") for name, score in scores.items()},
        failed=bool(raw.get("error")),
    )


def _asked(asked: Any) -> str:
    """The input; of messages their roles and contents: each has an id of its own."""
    if isinstance(asked, str):
        return asked
    return "\n".join(f"{message['role']}: {_content(message['content'])}" for message in asked)


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", part.get("type"))) for part in content)


def _text(output: Mapping[str, Any]) -> str | None:
    choices = output.get("choices") or ()
    return _content(choices[0]["message"]["content"]) if choices else output.get("completion")


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
