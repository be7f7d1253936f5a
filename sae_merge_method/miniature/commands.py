"""Running a public command as a user would type it, in the demo's folder."""

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sae_merge_method.errors import SaeMergeError

logger = logging.getLogger(__name__)


class CommandError(SaeMergeError):
    """A command that the demo ran ended with a failure, or is not installed."""


def run_command(folder: Path, words: Sequence[str]) -> None:
    """Run one command to its end; what it prints goes where our own output goes.

    Args:
        folder: Its working folder.
        words: The command, taken from beside this Python, and its arguments.

    Raises:
        CommandError: It failed, and has said why.
    """
    shown = shlex.join(words)
    logger.info("$ %s", shown)
    done = subprocess.run(
        [_script(words[0]), *words[1:]],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"a command failed with exit code {done.returncode} in {folder}:\n  {shown}")


def _environment(folder: Path) -> dict[str, str]:
    return {
        # One thread a process is fastest here, and the same bits everywhere.
        **{"OMP_NUM_THREADS": "1", **os.environ},
        # Nothing here needs the network, and nothing may reach for it.
        "HF_HUB_OFFLINE": "1",
        # Beside the data set it is made from: the user's own cache stays as it is.
        "HF_DATASETS_CACHE": str(folder.resolve() / ".datasets"),
    }


def _script(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    for path in (beside, beside.with_suffix(".exe")):
        if path.is_file():
            return str(path)
    raise CommandError(f"expected the command {name} beside {sys.executable}: reinstall the package")
