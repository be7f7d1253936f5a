"""What an edit in place costs, and its way back: against writing the changed bytes twice, synced.

Twice is the least there is: the overwritten bytes go into the journal, the edited ones into the model.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

TWICE = "written twice, synced"
ROUND = """
import logging, os, sys, time
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.merge.undo import undo

logging.disable(logging.WARNING)  # random weights are no fine-tune of each other

def timed(call):
    os.sync()
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result

def write_twice(nbytes):
    block = memoryview(bytes(1 << 24))
    for name in ("once", "twice"):
        with open(name, "wb", buffering=0) as stream:
            for first in range(0, nbytes, len(block)):
                stream.write(block[: nbytes - first])
            os.fsync(stream.fileno())

for _ in range(int(sys.argv[1])):
    edit, report = timed(lambda: edit_in_place("in_place.yml", options={"quiet": True}))
    back, _ = timed(lambda: undo("base"))
    write, _ = timed(lambda: write_twice(report.edited_bytes))
    print(report.edited_bytes, write, edit, back)
"""


def measure(work: Path, rounds: int) -> dict[str, float]:
    """Seconds of writing, editing and undoing, imports not counted, by what was done; and the changed bytes.

    Args:
        work: Folder with ``in_place.yml`` and the models that it names.
        rounds: How often; the medians are taken.
    """
    words = [sys.executable, "-c", ROUND, str(rounds)]
    said = subprocess.run(words, cwd=work, stdout=subprocess.PIPE, text=True, check=True).stdout
    columns = zip(*(map(float, line.split()) for line in said.splitlines()), strict=True)
    names = ("bytes", TWICE, "merge --in-place", "undo")
    return {name: statistics.median(column) for name, column in zip(names, columns, strict=True)}


def show(work: Path, costs: dict[str, float]) -> None:
    whole = sum(file.stat().st_size for file in work.glob("base/*.safetensors"))
    print(f"\n{costs['bytes'] / 1e6:,.0f} MB changed of {whole / 1e6:,.0f} MB")
    print(f"{'':34}{'seconds':>8}{'x (written twice)':>19}")
    for name, seconds in costs.items():
        if name != "bytes":
            print(f"{name:34}{seconds:8.2f}{seconds / costs[TWICE]:19.2f}")
