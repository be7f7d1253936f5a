"""A fork that becomes an interpreter: what Python does as it starts, runs a program and ends, by hand.

The server has the libraries; this gives a fork of it the working folder, environment, open files and signals that
were asked for, has ``site`` set up the environment's packages and run its ``.pth`` files, and runs the program.
"""

import atexit
import fcntl
import importlib
import os
import runpy
import signal
import site
import sys
import threading
import traceback
import types
from pathlib import Path
from typing import Any


def become(job: dict[str, Any], handles: list[int], packages: str | None) -> None:
    """Be the interpreter that was asked for, to its end.

    Args:
        job: What ``client.main`` sends.
        handles: The open files that go with it.
        packages: The folder that the libraries were loaded from, where nothing of the environment was set up yet.
    """
    code = 1
    try:
        os.setsid()
        high = [fcntl.fcntl(handle, fcntl.F_DUPFD, 1000) for handle in handles]
        for handle in handles:
            os.close(handle)
        for handle, number in zip(high, job["handles"], strict=True):
            os.dup2(handle, number)
            os.close(handle)
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["environ"])
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):  # the server may be run under nohup
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in job["ignored"]:
            signal.signal(number, signal.SIG_IGN)
        _set_up(job, packages)
        code = _run(job["arguments"])
    except SystemExit as error:
        code = _exit_code(error)
    except KeyboardInterrupt:
        traceback.print_exc()
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 120
        os._exit(code)


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) % 256
    print(error.code, file=sys.stderr)
    return 1


def _set_up(job: dict[str, Any], packages: str | None) -> None:
    """What an interpreter does as it starts, and what the libraries were told of the environment as they were loaded."""
    sys.executable = job["python"]
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if packages is None:
        sys.path[:0] = [path for path in paths if path not in sys.path]
    else:
        sys.path.remove(packages)
        sys.path[:0] = paths
        site.main()
    sys.executable = job["executable"]
    if "multiprocessing.util" in sys.modules:
        atexit.register(sys.modules["multiprocessing.util"]._exit_function)
    if "multiprocessing.spawn" in sys.modules:
        sys.modules["multiprocessing.spawn"].set_executable(sys.executable)
    if "huggingface_hub.constants" in sys.modules:
        importlib.reload(sys.modules["huggingface_hub.constants"])
    if "datasets.config" in sys.modules and "HF_DATASETS_CACHE" in os.environ:
        sys.modules["datasets.config"].HF_DATASETS_CACHE = os.environ["HF_DATASETS_CACHE"]


def _run(arguments: list[str]) -> int:
    """Run a script, or what follows ``-c`` or ``-m``."""
    # As torch's launcher starts its processes; and as Ray does, which hands on the flags of who starts it: the server's.
    while arguments[0] in ("-u", "-E", "-I", "-S", "-s"):
        arguments = arguments[1:]
    kind, *rest = arguments
    if kind == "-m":
        sys.argv = rest
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        sys.modules["__main__"] = program = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), program.__dict__)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(kind).resolve().parent))
        sys.modules["__main__"] = program = types.ModuleType("__main__")
        program.__file__ = kind
        exec(compile(Path(kind).read_bytes(), kind, "exec"), program.__dict__)
    return 0
