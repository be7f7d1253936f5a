"""Interpreters that start in a moment: real processes, each a fork of one that has the hosts' libraries loaded.

torch, transformers and the like are nine tenths of what a command costs. A test run loads them once, in a
server that ``server.py`` is; an executable of this folder's making asks it for an interpreter and stands in for
that one, with its working folder, environment, open files, signals and exit code. What is about the start
itself, or about what is loaded when, is no matter for these: that takes an interpreter of its own.
"""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.warm.levels import FEW, HOSTS, LEVELS

FOLDER = "SAE_MERGE_TESTS_WARM"
"""In the environment of a test run's processes: the server's folder."""
HERE = Path(__file__).parent
SCRIPTS = ("sae-merge", "lm_eval")
"""Commands that stand beside a warm ``python``."""

_STUB = """\
#!{python} -IS
import sys
sys.path.insert(0, {here!r})
from client import main
main({folder!r}, {level!r}, {python_of!r}, {executable!r}, *{first!r}, *sys.argv[1:])
"""
_SERVER = f"""\
import sys
sys.path.insert(0, {str(HERE.parents[1])!r})
from tests.warm.server import main
del sys.path[0]
main(*sys.argv[1:])
"""
_server: "subprocess.Popen[bytes] | None" = None


def begin() -> None:
    """Start the server, which loads nothing yet, for this process and its children."""
    global _server
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    (folder / "processes").mkdir()
    copy_lm_eval(folder / FEW, "minerva_math")
    with ExitStack() as stack:
        doors = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in LEVELS]
        for level, door in zip(LEVELS, doors, strict=True):
            door.bind(f"{folder}/{level}.socket")
            door.listen(64)
        handles = [door.fileno() for door in doors]
        words = ["-c", _SERVER, str(folder), sysconfig.get_path("purelib"), *map(str, handles)]
        _server = subprocess.Popen(
            [sys.executable, "-I", "-S", *words], stdin=subprocess.PIPE, pass_fds=handles
        )
    os.environ[FOLDER] = str(folder)


def end() -> None:
    """End the server, and wait for all that it started; what has not ended a minute later is left to itself."""
    if _server is not None:
        assert _server.stdin is not None
        _server.stdin.close()
        try:
            _server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            _server.kill()
        shutil.rmtree(os.environ.pop(FOLDER))


def python(
    folder: Path, level: str = HOSTS, python: str = sys.executable, *, warm_children: bool | None = None
) -> Path:
    """Make a folder with an executable ``python`` in it, and beside it the commands of ``SCRIPTS``.

    Args:
        folder: The folder; one that stands is taken.
        level: What is loaded ahead: of ``levels.LEVELS``.
        python: The interpreter whose environment it is to be: its site-packages, and what these run at the start.
        warm_children: Whether what it starts with ``sys.executable`` is warm too; None for yes where everything is
            loaded ahead.

    Returns:
        The path of ``python``.
    """
    warm_children = level == HOSTS if warm_children is None else warm_children
    stub = folder / "python"
    if not stub.exists():
        folder.mkdir(parents=True, exist_ok=True)
        commands: dict[str, list[str]] = {"python": []}
        commands |= {name: [str(Path(python).with_name(name))] for name in SCRIPTS}
        for name, first in commands.items():
            text = _STUB.format(
                python=sys.executable, here=str(HERE), folder=os.environ[FOLDER], level=level,
                python_of=python, executable=str(stub) if warm_children else python, first=first,
            )  # fmt: skip
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
    return stub


def lm_eval_of_few_tasks() -> Path:
    """The folder of packages in which warm interpreters find lm-eval, with minerva_math alone among its tasks."""
    return Path(os.environ[FOLDER], FEW)


def process_behind(stub: int) -> int:
    """The process id of the interpreter that an executable of ours, running under this id, stands in for."""
    import psutil  # not above: the server reads this file before it knows site-packages

    note = Path(os.environ[FOLDER], "processes", str(stub))
    while not note.exists():
        assert psutil.Process(stub).status() != psutil.STATUS_ZOMBIE
        time.sleep(0.005)
    return int(note.read_text())


def copy_lm_eval(into: Path, *kept: str) -> None:
    """Put an lm-eval into a folder of packages: the same, but for thousands of tasks that take seconds to index.

    Args:
        into: The folder.
        kept: Names of the task folders to keep.
    """
    original, copy = Path(sysconfig.get_path("purelib")) / "lm_eval", into / "lm_eval"
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("tasks", "__pycache__"))
    (copy / "tasks").mkdir()
    for file in (original / "tasks").glob("*.py"):
        shutil.copy(file, copy / "tasks")
    for name in kept:
        shutil.copytree(original / "tasks" / name, copy / "tasks" / name)
