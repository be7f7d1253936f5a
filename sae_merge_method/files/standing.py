"""What stands in a folder at one moment, told by ``stat``: to see later whether anybody was at it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sae_merge_method.errors import InUseError
from sae_merge_method.files.lock import LOCK_FILE, who_holds

_Entry = tuple[int, ...]


class Standing:
    """A folder that is to be replaced, as it was when this was made; we hold its lock."""

    def __init__(self, folder: Path) -> None:
        """Look at everything in it.

        Raises:
            InUseError: Somebody holds a folder inside it.
        """
        self.folder = folder
        self._entries = dict(_entries(folder))
        for name in self._entries:
            lock = folder / name
            if lock.name.endswith(LOCK_FILE):
                refusal = who_holds(lock, f"{folder} holds {name}:")
                if refusal is not None:
                    raise InUseError(refusal)

    def require_same(self, at: Path | None = None) -> None:
        """Make sure that nobody added, changed or removed anything since.

        Args:
            at: Where it stands now; None where it stood.

        Raises:
            InUseError: Somebody did; the message names the first of it.
        """
        now = dict(_entries(at or self.folder))
        different = sorted(name for name in now | self._entries if now.get(name) != self._entries.get(name))
        if different:
            name = different[0]
            what = "appeared" if name not in self._entries else "changed" if name in now else "vanished"
            raise InUseError(
                f"{self.folder / name} {what} while this ran: {self.folder} stays as it is, and the result "
                "was not put in its place"
            )


def _entries(folder: Path) -> Iterator[tuple[str, _Entry]]:
    """All that is below a folder; of folders only that they are there: their times move with our locks."""
    for root, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            path = Path(root) / name
            relative = str(path.relative_to(folder))
            try:
                now = path.lstat()
            except FileNotFoundError:  # taken away this moment
                continue
            if stat.S_ISDIR(now.st_mode):
                yield relative, (now.st_ino,)
            elif not relative.startswith(LOCK_FILE):
                yield relative, (stat.S_IFMT(now.st_mode), now.st_ino, now.st_size, now.st_mtime_ns)
