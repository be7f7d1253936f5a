"""``sae-merge`` in a process of its own that meets trouble at a chosen moment.

The moment is inside the arithmetic of a selected layer: shards are being copied then, some tensors
are written and others not. The trouble is real: a signal, a limit, another's write.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_PROGRAM = """
import os, signal, sys, time
from sae_merge_method.merge import tensor_edit
from sae_merge_method.cli.main import main

inject_piece = tensor_edit.inject_piece
calls = 0

def troubled(*args):
    global calls
    calls += 1
    if calls == 5:
        {trouble}
    return inject_piece(*args)

tensor_edit.inject_piece = troubled
sys.argv = ["sae-merge", *sys.argv[1:]]
main()
"""


def run(
    warm_python: Path,
    *words: object,
    cwd: Path,
    trouble: str = "pass",
    before: Callable[[], None] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run the command line.

    Args:
        warm_python: Whom to run it with.
        words: The command's.
        cwd: Its working folder.
        trouble: A statement.
        before: Runs in the child ahead of Python, which is one started anew: limits are not handed on to a warm one.
    """
    return subprocess.run(
        [
            sys.executable if before else str(warm_python),
            "-c",
            _PROGRAM.format(trouble=trouble),
            *map(str, words),
        ],
        cwd=cwd,
        capture_output=True,
        text=True,
        preexec_fn=before,
    )
