"""The process that warm interpreters are forks of: it loads libraries, then waits to be asked for an interpreter.

There is one socket a level: who connects to that of a level is answered by a process that has loaded what the
levels up to this one load, and each is a fork of the one before. Nothing is loaded before somebody asks. All end
when their standard input does.

Asked for an interpreter, a process forks once: half a gigabyte to fork is a twentieth of a second, and as much to end.
"""

import array
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.warm.interpreter import become
from tests.warm.levels import HOSTS, LEVELS, load


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
    Level(None, doors, folder, packages).serve()


class Level:
    """A process that forks for each connection, and forks the next level when somebody asks for that or a later one.

    Who asked is told the process id and, later, how the interpreter ended. It is killed if nobody waits for it any more.
    """

    def __init__(self, name: str | None, doors: dict[str, socket.socket], folder: str, packages: str) -> None:
        self.name, self.doors, self.folder, self.packages = name, doors, folder, packages
        self.own = doors.pop(name) if name else None
        self.running: dict[int, socket.socket] = {}
        self.following = 0
        self.awake, self.wake = os.pipe()
        os.set_blocking(self.wake, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # else nothing is written into the pipe
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        self.waiting = selectors.DefaultSelector()
        for door in (0, self.awake, self.own, *doors.values()):
            if door is not None:
                self.waiting.register(door, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer until standard input ends, and then until all that was started has."""
        is_open = True
        while is_open or self.running or self.following:
            ready = [key.fileobj for key, _ in self.waiting.select()]
            if self.awake in ready:
                os.read(self.awake, 4096)
                self._reap()
            for child, connection in list(self.running.items()):
                if connection in ready:  # gone, for who waits has nothing more to say
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    self._forget(child)
            if 0 in ready:
                is_open = False
                for door in (0, self.own, *self.doors.values()):
                    if door is not None:
                        self.waiting.unregister(door)
            elif self.own in ready:
                self._start()
            elif any(door in ready for door in self.doors.values()):
                self._follow()
        os._exit(0)  # what the libraries would tidy up takes seconds

    def _start(self) -> None:
        """Fork an interpreter for who is at the door."""
        assert self.own is not None
        connection, _ = self.own.accept()
        if (asked := _receive(connection)) is None:
            return
        job, handles = asked
        if not (child := os.fork()):
            self._leave(connection, *self.doors.values())
            become(job, handles, None if self.name == HOSTS else self.packages)
        for handle in handles:
            os.close(handle)
        self.running[child] = connection
        self.waiting.register(connection, selectors.EVENT_READ)
        _answer(connection, child)

    def _follow(self) -> None:
        """Fork the next level, and leave later doors to it."""
        self.following = os.fork()
        if not self.following:
            self._leave()
            name = next(iter(self.doors))
            load(name, self.folder)
            Level(name, self.doors, self.folder, self.packages).serve()
        for door in self.doors.values():
            self.waiting.unregister(door)
            door.close()
        self.doors = {}

    def _leave(self, *more: socket.socket) -> None:
        """In a fork: let go of all that is for this process alone."""
        signal.set_wakeup_fd(-1)
        self.waiting.close()
        for handle in (self.awake, self.wake):
            os.close(handle)
        for one in (self.own, *self.running.values(), *more):
            if one is not None:
                one.close()

    def _reap(self) -> None:
        """Tell how those ended that have, since somebody did."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                child, status = ended
                if child == self.following:
                    self.following = 0
                if child in self.running:
                    _answer(self.running[child], os.waitstatus_to_exitcode(status))
                    self._forget(child)

    def _forget(self, child: int) -> None:
        connection = self.running.pop(child)
        self.waiting.unregister(connection)
        connection.close()


def _answer(connection: socket.socket, number: int) -> None:
    with suppress(OSError):  # it may be gone, which is seen as soon as it is listened to
        connection.sendall(f"{number}\n".encode())


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """What to run, and the open files that go with it; None where who asked is gone already."""
    sent, text = array.array("i"), b""
    with suppress(OSError):
        head, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(4 * 200))
        for _, _, data in ancillary:
            sent.frombytes(data[: len(data) - len(data) % sent.itemsize])
        while head and len(text) < int(head) and (part := connection.recv(int(head) - len(text))):
            text += part
        if head and len(text) == int(head):
            return json.loads(text), list(sent)
    for handle in sent:
        os.close(handle)
    connection.close()
    return None
