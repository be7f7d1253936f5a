"""``sae-merge verify`` of a merge against base and donor, beside ``cmp`` of as many bytes."""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_VERIFY = """
import resource, time
import torch  # an edit is computed anew with it: its start is not what is measured
from sae_merge_method.verify.audit import verify
began, cpu = time.perf_counter(), time.process_time()
report = verify("out", quiet=True)
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
assert report.sound and not report.unproved, str(report)
print(seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu: float
    """Of all cores together: what another process takes away does not count."""
    peak_mb: float = 0.0


def measure(work: Path, rounds: int) -> dict[str, Cost]:
    """Medians of cmp and of the audit's work alone, and one run of its whole command.

    The first round warms the cache, and is not counted.
    """
    command = str(Path(sys.executable).parent / "sae-merge")
    subprocess.run([command, "merge", "1.yml", "out", "--no-sync"], cwd=work, check=True, capture_output=True)
    shutil.copyfile(work / "out" / "model.safetensors", work / "copy")
    cmp: list[Cost] = []
    alone: list[Cost] = []
    for _ in range(rounds + 1):
        cmp.append(_run(["cmp", "out/model.safetensors", "copy"], work))
        answer = subprocess.run([sys.executable, "-c", _VERIFY], cwd=work, check=True, stdout=subprocess.PIPE)
        alone.append(Cost(*map(float, answer.stdout.split())))
    return {
        "cmp": _median(cmp[1:]),
        "verify, the work alone": _median(alone[1:]),
        "sae-merge verify, start included": _run([command, "verify", "out"], work),
    }


def _median(runs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.seconds for cost in runs),
        statistics.median(cost.cpu for cost in runs),
        max(cost.peak_mb for cost in runs),
    )


def _run(words: Sequence[str], work: Path) -> Cost:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, cwd=work, check=True, capture_output=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def show(work: Path, layers: int, costs: dict[str, Cost]) -> None:
    """Each beside cmp, which reads as many bytes: two files of the checkpoint's size."""
    gigabytes, cmp = (work / "out" / "model.safetensors").stat().st_size / 1e9, costs["cmp"]
    print(f"\n{gigabytes:.2f} GB, 1 of {layers} layers edited, warm cache")
    print(f"{'':34}{'seconds':>8}{'x cmp':>7}{'CPU s':>8}{'x cmp':>7}{'MB':>6}")
    for name, cost in costs.items():
        peak = f"{cost.peak_mb:6.0f}" if cost.peak_mb else ""
        print(
            f"{name:34}{cost.seconds:8.2f}{cost.seconds / cmp.seconds:7.2f}"
            f"{cost.cpu:8.2f}{cost.cpu / cmp.cpu:7.2f}{peak}"
        )
