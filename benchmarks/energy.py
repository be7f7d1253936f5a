"""What ``sae-merge energy`` costs, measured on a few layers of a 4B model and extrapolated in the open.

    python benchmarks/energy.py                2 and 6 layers of Gemma 3 4B's shapes, 3 GB of disk
    python benchmarks/energy.py --threads 1

Layers are streamed and all alike, so time is a fixed part plus one part per layer: two sizes give
both. The layers have the 4B model's own widths (d 2560, MLP 10240) and SAEs of 16,384 features:
only their number is extrapolated. Weights are random, the files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from random_models import Sizes, layer_shapes, write_config, write_safetensors

from sae_merge_method.artifacts import diagnosis as records
from sae_merge_method.artifacts.layer_diagnosis import LayerDiagnosis, SaeSource
from sae_merge_method.artifacts.layer_usage import pack_layer
from sae_merge_method.artifacts.usage import Documents, write_usage
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import open_checkpoint

WIDTH, MLP, QUERIES, KEYS, HEAD, WORDS = 2560, 10240, 2048, 1024, 256, 262_144
WHOLE = 34
FEATURES, RANK = 16384, 64
LIMIT_SECONDS, LIMIT_GB = 300, 3


class Cost(NamedTuple):
    seconds: float
    busy: float
    """Processor seconds of all threads: what it costs where other work slows the clock on the wall."""
    gigabytes: float


def write_scene(root: Path, layers: int) -> None:
    """Base, donor, one SAE a layer and a diagnosis."""
    sizes = Sizes(WIDTH, MLP, QUERIES // HEAD, KEYS // HEAD, HEAD, WORDS)
    for seed, name in enumerate(("base", "donor")):
        write_safetensors(root / name / "model.safetensors", "BF16", layer_shapes(sizes, layers), seed)
        write_config(root / name, sizes, layers)
    for layer in range(layers):
        file = root / "saes" / f"layer_{layer}" / "params.safetensors"
        write_safetensors(file, "F32", {"w_dec": (FEATURES, WIDTH)}, 100 + layer)
        scope = {"architecture": "jump_relu", "hf_hook_point_in": f"model.layers.{layer}.output"}
        (file.parent / "config.json").write_text(json.dumps(scope))
    diagnosed = [
        LayerDiagnosis(
            layer=layer, score=1.0, explained_variance=0.9, l0=RANK,
            sae=SaeSource(
                release=f"{root}/saes/layer_{{layer}}", id="", hook_point=f"blocks.{layer}.hook_resid_post",
                sha256="0" * 64, architecture="jumprelu", d_sae=FEATURES,
            ),
        )
        for layer in range(layers)
    ]  # fmt: skip
    corpus = records.Corpus(
        name="text", sha256="0" * 64, documents=1, documents_read=1, tokens=10, tokens_read=10
    )
    base = open_checkpoint(root / "base")
    model = records.ModelSource(
        id="base",
        config_sha256=base.config_sha256,
        fingerprint=fingerprint(base),
        n_layers=layers,
        d_model=WIDTH,
    )
    diagnosis = records.Diagnosis(
        model=model,
        score="kl_bits",
        layers=tuple(diagnosed),
        target=corpus,
        controls=(corpus,),
        settings={},
    )
    (root / "diagnosis").mkdir()
    records.write_diagnosis(root / "diagnosis", diagnosis)
    used = np.arange(2 * RANK)
    usage = pack_layer(
        FEATURES, np.array([10, 10]), np.array([len(used), 1]), np.append(used, 0),
        np.append(1.0 + used, 0.5), np.ones(len(used) + 1, int),
    )  # fmt: skip
    sides = Documents(np.array([0, 1]), np.array([0, 1]))
    write_usage(root / "diagnosis", sides, dict.fromkeys(range(layers), usage))


def measure(root: Path, threads: int) -> Cost:
    """One whole process, start included."""
    command = [
        str(Path(sys.executable).with_name("sae-merge")), "energy", "--rank", str(RANK), "--format", "json",
        *(word for name in ("base", "donor", "diagnosis") for word in (f"--{name}", str(root / name))),
    ]  # fmt: skip
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    report = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    if process.returncode:
        raise SystemExit(f"sae-merge energy ended with {process.returncode}")
    ratio = json.loads(report)["total"]["ratio"]
    if not 0.9 < ratio < 1.1:
        raise SystemExit(f"sae-merge energy found a ratio of {ratio} on a Gaussian task vector")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, nargs=2, default=(2, 6), metavar=("FEW", "MORE"))
    options = parser.parse_args()
    few, more = options.layers
    costs = {}
    with tempfile.TemporaryDirectory(prefix="energy-") as folder:
        for layers in (few, more):
            root = Path(folder) / str(layers)
            write_scene(root, layers)
            costs[layers] = cost = measure(root, options.threads)
            print(
                f"{layers:>3} layers: {cost.seconds:7.1f} s, {cost.busy:7.1f} processor seconds, "
                f"{cost.gigabytes:.2f} GB peak"
            )
    load, cores = os.getloadavg()[0], os.cpu_count()
    print(f"{options.threads} threads; the machine has {cores} cores, its load is {load:.1f}")
    for name, what in (("seconds", "on the wall"), ("busy", "of processors")):
        first, second = (getattr(costs[layers], name) for layers in (few, more))
        each = (second - first) / (more - few)
        fixed = max(0.0, first - few * each)
        print(f"{what}: {fixed:.1f} s + {each:.2f} s a layer; {WHOLE} layers: {fixed + WHOLE * each:.0f} s")
    print(
        f"target on two idle cores: {LIMIT_SECONDS} s on the wall, {LIMIT_GB} GB; "
        "memory does not grow with the number of layers"
    )


if __name__ == "__main__":
    main()
