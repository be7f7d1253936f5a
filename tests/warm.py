"""An interpreter that has the hosts' libraries loaded, and neither host: every command is a fork of it.

torch, transformers and the like are nine tenths of what a host's command costs. Loaded once, they are
shared; the host itself, the start-up hook and all of ours are met by each fork for the first time.
"""

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

LIBRARIES = (
    "torch", "transformers.trainer_utils", "transformers.models.auto.modeling_auto", "peft", "accelerate",
    "safetensors.torch", "networkx", "datasets", "evaluate", "sklearn.metrics", "sympy", "pydantic",
)  # fmt: skip

_SERVER = """
import importlib, json, os, runpy, sys, traceback

for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
met = [name for name in sys.modules if name.partition(".")[0] in ("mergekit", "lm_eval")]
is_ours = lambda name: name.partition(".")[0] == "sae_merge_method"
ours = [name for name in sys.modules if is_ours(name)]
assert not met and set(ours) <= {"sae_merge_method", "sae_merge_method._startup"}, (met, ours)
print("ready", flush=True)


def run(job):
    os.chdir(job["cwd"])
    if job["environ"] is not None:
        os.environ.clear()
        os.environ.update(job["environ"])
    for stream, file in ((0, os.devnull), (1, job["stdout"]), (2, job["stderr"])):
        os.dup2(os.open(file, os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT, 0o600), stream)
    if not job["hook"]:
        sys.meta_path[:] = [finder for finder in sys.meta_path if not is_ours(type(finder).__module__)]
        for name in list(filter(is_ours, sys.modules)):
            del sys.modules[name]
    kind, *sys.argv = job["arguments"]
    try:
        if kind == "-c":
            program, sys.argv, sys.path[0] = sys.argv[0], ["-c", *sys.argv[1:]], ""
            exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
        elif kind == "-m":
            sys.path[0] = os.getcwd()
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = [kind, *sys.argv], os.path.dirname(os.path.abspath(kind))
            runpy.run_path(kind, run_name="__main__")
        return 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


for line in sys.stdin:
    child = os.fork()
    if not child:
        code = run(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)  # what the libraries would tidy up takes seconds
"""


def copy_lm_eval(into: Path, *kept: str) -> None:
    """Put an lm-eval into a folder of packages: the same, but for thousands of tasks that take seconds to index.

    Args:
        into: The folder.
        kept: Names of the task folders to keep.
    """
    original, copy = Path(sysconfig.get_path("purelib")) / "lm_eval", into / "lm_eval"
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("tasks"))
    (copy / "tasks").mkdir()
    for file in (original / "tasks").glob("*.py"):
        shutil.copy(file, copy / "tasks")
    for name in kept:
        shutil.copytree(original / "tasks" / name, copy / "tasks" / name)


def python_path(*packages: Path) -> str:
    """PYTHONPATH of a process that finds folders of packages before what this one finds."""
    return os.pathsep.join([*map(str, packages), *filter(None, [os.environ.get("PYTHONPATH")])])


class Warm:
    """Runs what a fresh interpreter would run; a context manager.

    Args:
        python: The interpreter.
        environ: Its environment, which the libraries read as they are loaded.
        scratch: A folder for what is printed.
        libraries: Names of the modules to load ahead.
    """

    def __init__(
        self,
        python: Path,
        environ: Mapping[str, str],
        scratch: Path,
        libraries: Sequence[str] = LIBRARIES,
    ) -> None:
        scratch.mkdir(exist_ok=True)
        self._scratch = scratch
        self._runs = 0
        self._server = subprocess.Popen(
            [str(python), "-c", _SERVER, json.dumps(libraries)],
            cwd=scratch, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._answer() == "ready"

    def __enter__(self) -> "Warm":
        return self

    def __exit__(self, *error: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()  # the loop ends with its input
        self._server.wait(timeout=30)

    def run(
        self,
        arguments: Sequence[str],
        cwd: Path,
        *,
        hook: bool = True,
        environ: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run what an interpreter would run.

        Args:
            arguments: A script's path, ``-m`` and a module, or ``-c`` and a program; then its own.
            cwd: Its working folder.
            hook: Whether our start-up hook stays; without it this is an interpreter that knows nothing of us.
            environ: Its environment, for what is not loaded ahead; None for that of the interpreter.
        """
        self._runs += 1
        out, err = (self._scratch / f"{self._runs}.{stream}" for stream in ("out", "err"))
        job = {
            "arguments": list(arguments),
            "cwd": str(cwd),
            "hook": hook,
            "environ": None if environ is None else dict(environ),
            "stdout": str(out),
            "stderr": str(err),
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        code = int(self._answer())
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()
