"""The process that warm interpreters are forks of: it loads libraries, then waits to be asked for an interpreter.

There is one socket a level: who connects to that of a level is answered by a process that has loaded what the
levels up to this one load, and each is a fork of the one before. Nothing is loaded before somebody asks. All end
when their standard input does.

Asked for an interpreter, a process forks twice: a warden that keeps the connection, and the interpreter itself.
"""

import array
import atexit
import functools
import gc
import importlib
import inspect
import json
import os
import pkgutil
import selectors
import signal
import site
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.warm.interpreter import become

LEVELS: dict[str, tuple[str, ...]] = {
    "torch": ("torch", "safetensors.torch"),
    "libraries": (
        "transformers.trainer_utils", "transformers.models.auto.modeling_auto", "peft", "accelerate", "networkx",
        "datasets", "evaluate", "sklearn.metrics", "sympy.parsing.latex", "math_verify",
        "pydantic",
    ),
    "hosts": (
        "mergekit.merge", "lm_eval.evaluator", "lm_eval.models.huggingface", "lm_eval.tasks.minerva_math.utils",
        "sae_lens", "scipy.stats", "matplotlib.figure", "transformers.models.gemma3.modeling_gemma3",
    ),
}  # fmt: skip
"""By level, what it loads beside what the levels before it do. The second knows neither host, nor us."""
HOSTS = "hosts"
"""The level that has all of ours loaded as well."""
FEW = "few_tasks"
"""In a test run's folder, the packages that this level finds before all others: an lm-eval."""
NOT_AHEAD = ("sae_merge_method.cli.main", "sae_merge_method.lm_eval_tasks")
"""What runs as a program, and what lm-eval loads by its path."""


def main(folder: str, packages: str, *handles: str) -> None:
    """Answer on every level's socket, with nothing loaded yet.

    Args:
        folder: Of the test run, with an lm-eval of few tasks in it.
        packages: The site-packages to load libraries from.
        handles: Of the listening sockets, in the order of the levels.
    """
    doors = {level: socket.socket(fileno=int(handle)) for level, handle in zip(LEVELS, handles, strict=True)}
    sys.prefix = sys.exec_prefix = str(Path(sys.executable).parent.parent)  # without site it is the base's
    importlib.reload(sysconfig)  # which has looked already where it is
    sys.path.append(packages)
    # Of an interpreter's children: they start as it would have been started, not, as we were, without site.
    subprocess._args_from_interpreter_flags = list
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: who started us ends us
    signal.alarm, os.fsync = lambda seconds: 0, os.fstat  # in tests/conftest.py it is said why
    _serve(None, doors, folder, packages)


def _serve(level: str | None, doors: dict[str, socket.socket], folder: str, packages: str) -> None:
    """Be one level: fork for each connection, and fork the next level when somebody asks for it or a later one."""
    own = doors.pop(level) if level else None
    with selectors.DefaultSelector() as waiting:
        for door in (0, own, *doors.values()):
            if door is not None:
                waiting.register(door, selectors.EVENT_READ)
        while True:
            _reap()
            ready = [key.fileobj for key, _ in waiting.select(timeout=5)]
            if 0 in ready:
                break
            if own in ready:
                assert own is not None
                connection, _ = own.accept()
                if not os.fork():
                    waiting.close()
                    for door in (own, *doors.values()):
                        door.close()
                    _ward(level, connection, packages)
                connection.close()
            elif ready:
                if not os.fork():
                    waiting.close()
                    following = next(iter(doors))
                    if own is not None:
                        own.close()
                    _load(following, folder)
                    _serve(following, doors, folder, packages)
                for door in doors.values():
                    waiting.unregister(door)
                    door.close()
                doors = {}
    while _reap(wait=True):
        pass
    os._exit(0)  # what the libraries would tidy up takes seconds


def _reap(*, wait: bool = False) -> bool:
    """Let go of children that ended; whether there are any left."""
    try:
        while os.waitpid(-1, 0 if wait else os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _load(level: str, folder: str) -> None:
    """Load a level's libraries, and make them cheap to share."""
    if level == HOSTS:
        sys.path[:0] = [
            str(Path(folder) / FEW),
            *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
        ]
        site.main()
    for name in LEVELS[level]:
        importlib.import_module(name)
    if level == "libraries":
        _read_formulas()
    if level == HOSTS:
        ours = importlib.import_module("sae_merge_method")
        for module in pkgutil.walk_packages(ours.__path__, "sae_merge_method."):
            if not module.name.startswith(NOT_AHEAD):
                importlib.import_module(module.name)
        _compare_answers_once()
        _draw_a_picture()
    else:
        known = {name.partition(".")[0] for name in sys.modules}
        assert not known & {"mergekit", "lm_eval", "sae_merge_method"}, known
    inspect.getmodule(_load)  # fills a table over all modules, which pydantic would fill in every fork
    atexit._clear()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _read_formulas() -> None:
    """Who first reads a formula reads its grammar, which takes longer than many an evaluation here."""
    sys.modules["sympy.parsing.latex"].parse_latex(r"\frac{8}{2}")
    verify = sys.modules["math_verify"]
    verify.verify(gold=verify.parse(r"$\frac{8}{2}$"), target=verify.parse("4"))


def _compare_answers_once() -> None:
    """Have lm-eval read and compare the same two answers once: a tenth of a second, and most are no answer at all.

    Models here have learned nothing, and for every problem and arm it simplifies the word that it has for that.
    """
    scoring = sys.modules["lm_eval.tasks.minerva_math.utils"]
    for name in ("parse_latex", "is_equiv"):
        setattr(scoring, name, functools.cache(getattr(scoring, name)))
    scoring.is_equiv(scoring.get_unnormalized_answer(""), "4")


def _draw_a_picture() -> None:
    """The first picture of a process is four times as dear as the next: fonts are looked for and read."""
    figure = sys.modules["sae_merge_method.reports.figure"]
    drawn = figure.new_figure(2, 2)
    figure.layer_axes(drawn, "score", "layers").plot([0, 1], [0, 1], label="line")
    drawn.axes[0].legend()
    figure.picture(drawn)


def _ward(level: str | None, connection: socket.socket, packages: str) -> None:
    """Start one interpreter, tell its process id and how it ended; kill it if nobody waits for it any more."""
    job, handles = _receive(connection)
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake)
    child = os.fork()
    if not child:
        signal.set_wakeup_fd(-1)
        for handle in (awake, wake):
            os.close(handle)
        connection.close()
        become(job, handles, None if level == HOSTS else packages)
    for handle in (*handles, 0, 1, 2):
        os.close(handle)
    connection.sendall(f"{child}\n".encode())
    with selectors.DefaultSelector() as waiting:
        waiting.register(awake, selectors.EVENT_READ)
        waiting.register(connection, selectors.EVENT_READ)
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if any(key.fileobj is connection for key, _ in waiting.select()):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                os._exit(0)
    connection.sendall(f"{os.waitstatus_to_exitcode(ended[1])}\n".encode())
    os._exit(0)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What to run, and the open files that go with it, above all numbers that they are to have."""
    received, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(4 * 200))
    sent = array.array("i")
    for _, _, data in ancillary:
        sent.frombytes(data[: len(data) - len(data) % sent.itemsize])
    length = int(received)
    text = b""
    while len(text) < length:
        text += connection.recv(length - len(text))
    return json.loads(text), list(sent)
