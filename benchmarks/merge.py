"""What a merge costs: ``sae-merge merge`` against cp, stock mergekit, and its own donor reads.

    python benchmarks/merge.py                 warm cache, about 774M parameters, needs 8 GB of disk
    python benchmarks/merge.py --cold          cold cache (root: it drops the system's caches)
    python benchmarks/merge.py --scalpel       a scalpel recipe instead, by both engines
    python benchmarks/merge.py --in-place      an edit in place against writing its bytes twice, synced;
                                               about 290M parameters (--layers 26 for 774M)
    python benchmarks/merge.py --verify        sae-merge verify against cmp of as many bytes; as small

Every figure is a whole process, start included, median of --rounds rounds in which all take
turns; with --in-place and --verify, the work alone. Ratios are what to look at: the machine's speed
cancels out.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import in_place
import verifying
from random_models import RANK, shapes, write_decoders

LAYERS, FEW_LAYERS = 26, 8
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Cost:
    seconds: float
    peak_mb: float


def run(words: Sequence[str | Path], cwd: Path) -> Cost:
    """One process: wall time, and peak resident memory."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            list(map(str, words)), cwd=cwd, env=environment, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{' '.join(map(str, words))}:\n{output.read().decode()}")
    return Cost(seconds, usage.ru_maxrss / 1024)


def recipe(chosen: Sequence[int], method: str = "sae_stethoscope") -> str:
    gate = "" if method == "task_arithmetic" else f'layers: "{", ".join(map(str, chosen))}"'
    if method == "sae_scalpel":
        features = "; ".join(f"{layer}: 0-{RANK - 1}" for layer in chosen)
        gate += f', sae: "saes/layer_{{layer}}", features: "{features}"'
    models = "models: [{model: ./donor, parameters: {weight: 1.0}}]"
    if method == "task_arithmetic":
        return f"merge_method: {method}\nbase_model: ./base\n{models}\ndtype: bfloat16\n"
    return f"merge_method: {method}\nbase_model: ./base\n{models}\nparameters: {{{gate}}}\ndtype: bfloat16\n"


def guarded(chosen: Sequence[int], layers: int) -> str:
    """The form sae-merge recipe writes: the donor named in the chosen layers alone."""
    lines = ["merge_method: sae_stethoscope", "base_model: ./base", "slices:"]

    def part(first: int, last: int, open_: bool) -> None:
        donor = f", {{model: ./donor, layer_range: [{first}, {last}]}}" if open_ else ""
        lines.append(f"  - sources: [{{model: ./base, layer_range: [{first}, {last}]}}{donor}]")

    part(0, 0, False)
    for layer in range(layers):
        part(layer, layer + 1, layer in chosen)
    part(layers, layers, False)
    return "\n".join(
        [*lines, f'parameters: {{layers: "{", ".join(map(str, chosen))}"}}', "dtype: bfloat16\n"]
    )


READ = """
import json, os, struct, sys
chosen = set(sys.argv[1].split(","))
handle = os.open("donor/model.safetensors", os.O_RDONLY)
length = struct.unpack("<Q", os.pread(handle, 8, 0))[0]
for name, entry in json.loads(os.pread(handle, length, 8)).items():
    if name.startswith("model.layers.") and name.split(".")[2] in chosen:
        first, last = entry["data_offsets"]
        for at in range(first, last, 1 << 20):
            os.pread(handle, min(1 << 20, last - at), 8 + length + at)
"""


Words = list[str | Path]


def half(layers: int) -> int:
    return (layers + 1) // 2


def contenders(layers: int, three: Sequence[int], full: bool) -> dict[str, Words]:
    merge: Words = [BIN / "sae-merge", "merge"]
    names = ",".join(map(str, three))
    compared: dict[str, Words] = {
        "cp -r": ["cp", "-r", "base", "out"],
        "cp -r, synced": ["sh", "-c", "cp -r base out && sync out/* out"],
        "read donor layers": [sys.executable, "-S", "-c", READ, names],
        "sae-merge, 3 layers": [*merge, "3.yml", "out"],
        "sae-merge, 3, --no-sync": [*merge, "3.yml", "out", "--no-sync"],
        "sae-merge, 3, stochastic, --no-sync": [*merge, "3-stochastic.yml", "out", "--no-sync"],
        "mergekit task_arithmetic": [BIN / "mergekit-yaml", "stock.yml", "out", "--quiet"],
        "mergekit, guarded recipe": [BIN / "mergekit-yaml", "guarded.yml", "out", "--quiet"],
    }
    if full:
        compared |= {
            f"sae-merge, {n}, --no-sync": [*merge, f"{n}.yml", "out", "--no-sync"]
            for n in (1, half(layers), layers)
        }
        compared["sae-merge, 3, --engine mergekit"] = [*merge, "3.yml", "out", "--engine", "mergekit"]
    return compared


def scalpel_contenders() -> dict[str, Words]:
    merge: Words = [BIN / "sae-merge", "merge", "scalpel.yml", "out"]
    return {
        "sae-merge": merge,
        "sae-merge --no-sync": [*merge, "--no-sync"],
        "sae-merge --engine mergekit": [*merge, "--engine", "mergekit"],
        "mergekit-yaml": [BIN / "mergekit-yaml", "scalpel.yml", "out", "--quiet"],
    }


def measure(work: Path, words: dict[str, Words], rounds: int, before: Callable[[], None]) -> dict[str, Cost]:
    costs: dict[str, list[Cost]] = {name: [] for name in words}
    for _ in range(rounds):
        for name, command in words.items():
            shutil.rmtree(work / "out", ignore_errors=True)
            os.sync()  # the one before does not write to the disk while this one runs
            before()
            costs[name].append(run(command, work))
    return {
        name: Cost(statistics.median(c.seconds for c in runs), max(c.peak_mb for c in runs))
        for name, runs in costs.items()
    }


def show(title: str, costs: dict[str, Cost]) -> None:
    copy, stock = costs["cp -r"].seconds, costs["mergekit task_arithmetic"].seconds
    limit = copy + costs["read donor layers"].seconds
    synced = costs["cp -r, synced"].seconds + costs["read donor layers"].seconds
    print(f"\n{title}\n{'':34}{'seconds':>8}{'MB':>7}{'x (cp+read)':>13}{'x (synced)':>12}{'mergekit/x':>12}")
    for name, cost in costs.items():
        print(
            f"{name:34}{cost.seconds:8.2f}{cost.peak_mb:7.0f}{cost.seconds / limit:13.2f}"
            f"{cost.seconds / synced:12.2f}{stock / cost.seconds:12.1f}"
        )


def show_scalpel(title: str, costs: dict[str, Cost]) -> None:
    print(f"\n{title}\n{'':34}{'seconds':>8}{'MB':>7}{'its time / sae-merge':>22}")
    for name, cost in costs.items():
        ratio = cost.seconds / costs["sae-merge"].seconds
        print(f"{name:34}{cost.seconds:8.2f}{cost.peak_mb:7.0f}{ratio:22.2f}")


def warm(work: Path) -> None:
    for file in work.glob("*/model.safetensors"):
        with file.open("rb") as stream:
            while stream.read(1 << 22):
                pass


def drop() -> None:
    os.sync()
    DROP_CACHES.write_text("3")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    usual = f"{LAYERS}, with --in-place or --verify {FEW_LAYERS}"
    parser.add_argument("--layers", type=int, help=f"decoder layers of the pair, 3 or more: {usual}")
    parser.add_argument("--cold", action="store_true", help="measure with cold caches instead")
    parser.add_argument("--scalpel", action="store_true", help="a scalpel recipe, by both engines")
    parser.add_argument("--in-place", action="store_true", help="an edit in place of every eighth layer")
    parser.add_argument("--verify", action="store_true", help="an audit of a merge of one layer, against cmp")
    parser.add_argument("--work", type=Path, help="folder to work in; removed at the end")
    given = parser.parse_args()
    given.layers = given.layers or (FEW_LAYERS if given.in_place or given.verify else LAYERS)
    work = Path(tempfile.mkdtemp(dir=given.work, prefix="sae-merge-benchmark."))
    try:
        parameters = sum(map(math.prod, shapes(given.layers).values()))
        for seed, name in enumerate(("base", "donor")):
            # In another process: a child's peak memory, as the system counts it, begins at its parent's.
            code = f"import random_models as r; r.write_model(r.Path({name!r}), {seed}, {given.layers})"
            path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
            subprocess.run(
                [sys.executable, "-c", code], cwd=work, env=os.environ | {"PYTHONPATH": path}, check=True
            )
        counts = (1, 3, half(given.layers), given.layers)
        some = {n: [int((i + 0.5) * given.layers / n) for i in range(n)] for n in counts}
        for n, chosen in some.items():
            (work / f"{n}.yml").write_text(recipe(chosen))
            (work / f"{n}-stochastic.yml").write_text(
                recipe(chosen).replace("{layers", "{rounding: stochastic, layers")
            )
        (work / "stock.yml").write_text(recipe((), "task_arithmetic"))
        (work / "guarded.yml").write_text(guarded(some[3], given.layers))
        print(f"{parameters / 1e6:.0f}M parameters, bfloat16, {given.layers} layers, {os.cpu_count()} cores")
        if given.in_place:
            (work / "in_place.yml").write_text(recipe(range(given.layers // 2, given.layers, 8)))
            in_place.show(work, in_place.measure(work, given.rounds))
            return
        if given.verify:
            verifying.show(work, given.layers, verifying.measure(work, given.rounds))
            return
        before = drop if given.cold else lambda: warm(work)
        cache = "cold cache" if given.cold else "warm cache"
        if given.scalpel:
            write_decoders(work / "saes", some[3])
            (work / "scalpel.yml").write_text(recipe(some[3], "sae_scalpel"))
            costs = measure(work, scalpel_contenders(), given.rounds, before)
            show_scalpel(f"scalpel, 3 layers, rank {RANK}, {cache}", costs)
        else:
            words = contenders(given.layers, some[3], full=not given.cold)
            show(cache, measure(work, words, given.rounds, before))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
