"""Asks for a warm interpreter, and stands in for it: what is behind ``python`` and other commands in its folder.

Standard library alone, and little of it: this is all that a warm start costs. Everything open here is open
there, under the same number; signals are passed on; when this process is killed, so is the interpreter.
"""

import array
import json
import os
import signal
import socket
from pathlib import Path

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(folder: str, level: str, python: str, executable: str, *arguments: str) -> None:
    """Be the interpreter ``python`` for its arguments.

    Args:
        folder: Where the server listens.
        level: How much is to be loaded.
        python: The interpreter whose environment it is.
        executable: What the interpreter takes for its own, and starts its children with.
        arguments: Of the interpreter.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{folder}/{level}.socket")
        numbers = [int(path.name) for path in Path("/dev/fd").iterdir()]
        handles = [number for number in numbers if number != connection.fileno() and _is_open(number)]
        job = json.dumps(
            {
                "arguments": arguments,
                "cwd": str(Path.cwd()),
                "environ": dict(os.environ),
                "python": python,
                "executable": executable,
                "handles": handles,
                "ignored": [number for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN],
            }
        ).encode()
        head = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", handles))]
        connection.sendmsg([f"{len(job):08}".encode()], head)
        connection.sendall(job)
        answers = connection.makefile()
        child = int(answers.readline())
        for number in PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: os.kill(child, number))
        note = Path(folder, "processes", str(os.getpid()))
        note.with_suffix(".new").write_text(str(child))
        note.with_suffix(".new").replace(note)  # whole as soon as it is seen
        code = int(answers.readline() or 1)
    if code < 0:
        if -code in PASSED_ON:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
