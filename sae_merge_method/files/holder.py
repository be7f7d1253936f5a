"""Who holds a lock: what it says of itself, whether it still lives, and what whoever it keeps out can do."""

import json
import os
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from sae_merge_method.files.descriptors import bytes_at

_MOST_BYTES, _MOST_CHARACTERS = 4096, 100


class Holder(NamedTuple):
    """Who holds a lock, as it says."""

    host: str
    pid: int
    since: str
    command: str

    def __str__(self) -> str:
        machine = "" if self.is_here else f" on {self.host}"
        return f"process {self.pid}{machine} ({self.command}, since {self.since})"

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        """Whether there is a process of that number here."""
        try:
            return bool(psutil.pid_exists(self.pid))
        except OverflowError:
            return False

    def advice(self, lock: Path) -> str:
        """The holder, and what whoever is refused can do: nothing that would destroy."""
        if self.is_here and self.lives:
            return f"{self}: wait for it, or end it"
        return (
            f"{self}: wait for it; if that process is known to be gone, remove {lock} "
            "and nothing else, then try again"
        )


def read_holder(handle: int) -> Holder:
    """What the lock says; it may come from elsewhere, and is shown on terminals."""
    try:
        fields: Any = json.loads(bytes_at(handle, _MOST_BYTES, 0))
        host, since, command = (
            "".join(filter(str.isprintable, str(fields[name])))[:_MOST_CHARACTERS]
            for name in ("host", "since", "command")
        )
        return Holder(host, max(int(fields["pid"]), 0), since, command)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Holder("an unknown machine", 0, "an unknown time", "of an unknown version")


def this_process() -> Holder:
    """Ourselves, as our locks say."""
    program, *words = sys.argv or [""]
    # Run as the command, or as python -m sae_merge_method.cli.main.
    is_command = Path(program).stem == "sae-merge" or Path(program).parts[-2:] == ("cli", "main.py")
    words = [word for word in words[:1] if not word.startswith("-")]
    command = " ".join(["sae-merge", *words]) if is_command else "called from Python"
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Holder(socket.gethostname(), os.getpid(), since, command)
