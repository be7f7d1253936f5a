"""Files that are written whole or not at all, whatever kills us on the way."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from sae_merge_method.errors import UsageError
from sae_merge_method.escape import json_text
from sae_merge_method.files.descriptors import sync


def canonical_json(value: Any) -> str:
    """JSON text that is the same for the same value: indented, unsorted, no NaN, final newline.

    What is not seen stands in it as its escape: such a file can be printed to a terminal.
    """
    return json_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def require_no_file(path: Path) -> None:
    """Refuse to write over a file.

    Raises:
        UsageError: There is one.
    """
    if path.exists():
        raise UsageError(f"{path} exists: name another file or pass --overwrite")


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
            sync(stream.fileno())
        temporary.chmod(0o666 & ~umask())  # mkstemp makes files private
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def umask() -> int:
    """The process's file mode mask."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
