"""Writing files so that nothing half-written stays behind and nothing that existed is lost."""

import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.folders import new_folder, umask

__all__ = ["canonical_json", "file_sha256", "new_folder", "write_bytes", "write_text"]

_HASH_CHUNK = 1 << 20


def canonical_json(value: Any) -> str:
    """JSON text that is the same for the same value: indented, unsorted, no NaN, final newline."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``, whole or not at all: a temporary sibling, synced, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~umask())  # mkstemp makes files private
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in chunks."""
    digest = sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_HASH_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise SaeMergeError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()
