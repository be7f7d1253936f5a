"""Running the public commands as a user would type them, and keeping what they print."""

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from sae_merge_method.errors import SaeMergeError

logger = logging.getLogger(__name__)

_TAIL = 15
"""Lines of a failed command's output that go into the message."""


class CommandError(SaeMergeError):
    """A command that the demo ran ended with a failure, or is not installed."""


@dataclass(frozen=True)
class Commands:
    """Runs commands in one folder, their output kept in ``logs/``, and times the stages."""

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by stage."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside as the stage ``name``."""
        start = monotonic()
        yield
        self.seconds[name] = monotonic() - start

    def run(self, step: str, words: Sequence[str], threads: int = 1) -> None:
        """Run one command to its end.

        Args:
            step: Its name, for the log file.
            words: The command, taken from beside this Python, and its arguments.
            threads: For torch and BLAS.

        Raises:
            CommandError: It failed; the message ends with the last lines it printed.
        """
        shown = shlex.join(words)
        logger.info("$ %s", shown)
        log = self.folder / "logs" / f"{step.replace(' ', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as stream:
            stream.write(f"$ {shown}\n")
            stream.flush()
            done = subprocess.run(
                [_script(words[0]), *words[1:]],
                cwd=self.folder,
                env=self._environment(threads),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
            raise CommandError(
                f"a command failed with exit code {done.returncode} in {self.folder}:\n  {shown}\n"
                f"the end of {log}:\n" + "\n".join(f"  {line}" for line in tail)
            )

    def _environment(self, threads: int) -> dict[str, str]:
        return {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            # Nothing here needs the network, and nothing may reach for it.
            "HF_HUB_OFFLINE": "1",
            # Beside the data set it is made from: the user's own cache stays as it is.
            "HF_DATASETS_CACHE": str(self.folder.resolve() / ".datasets"),
        }


def _script(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    for path in (beside, beside.with_suffix(".exe")):
        if path.is_file():
            return str(path)
    raise CommandError(f"expected the command {name} beside {sys.executable}: reinstall the package")
