"""What ``sae-merge doctor`` looks at: versions, the hook, device, cache, and what fresh hosts see of us.

It only looks; nothing is installed, registered or written. Printing is left to the command.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from sae_merge_method._startup import COMPLAINT, SWITCH, switched_off
from sae_merge_method.errors import SaeMergeError
from sae_merge_method.files.cache import cache_root
from sae_merge_method.models.devices import resolve_device

DISTRIBUTION = "sae-merge-method"
SHOWN = ("torch", "mergekit", "lm-eval", "sae-lens", "transformers", "safetensors")
"""Distributions whose versions are looked at."""
HOOK_FILES = ("sae_merge_method.pth", "sae_merge_method.start")
"""What an installation puts into site-packages for the start-up hook."""

_PRECISIONS = ("float32", "bfloat16")
"""Of torch's names, those that models are computed in."""
_REINSTALL = "reinstall it: pip install --force-reinstall --no-deps . in the folder of its pyproject.toml"
_PROBE_SECONDS = 300


class Finding(NamedTuple):
    """One line of what there is to say of an installation."""

    subject: str
    """What was looked at."""
    state: str
    """How it is."""
    problem: str = ""
    """What is wrong; empty where nothing is."""
    mend: str = ""
    """What to do about the problem."""


def check_installation() -> Iterator[Finding]:
    """Everything there is to say, quick things first; the hosts take some seconds each."""
    yield interpreter()
    yield from versions()
    yield hook()
    yield device()
    yield from products()
    yield cache()
    yield from seen_by_hosts()


def check_model(model: str) -> Iterator[Finding]:
    """What there is to say of a model before it is diagnosed: how its documents begin. Its weights are not
    read.

    Args:
        model: Folder or Hub id, ``@revision`` allowed.
    """
    from sae_merge_method.corpora.beginning import beginning_of

    try:
        yield Finding("tokenizer", beginning_of(model).sentence)
    except SaeMergeError as error:
        mend = "name a model's folder or Hub id, with its tokenizer"
        yield Finding("tokenizer", "unreadable", str(error), mend)


def interpreter() -> Finding:
    """Which Python this is: not seldom it is another one than the user thinks."""
    return Finding("python", f"{platform.python_version()} at {sys.executable}")


def versions() -> Iterator[Finding]:
    """Installed versions against the ranges this distribution itself declares."""
    try:
        own = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            DISTRIBUTION,
            "not installed",
            f"this code runs from {Path(__file__).parents[1]}, but no installed distribution owns it",
            "install it: pip install . in the folder of its pyproject.toml",
        )
        return
    yield Finding(DISTRIBUTION, own.version)
    ranges = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, own.requires or ())
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
    for name in SHOWN:
        wanted = ranges[name]
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "missing", f"expected {name}{wanted}", f"pip install '{name}{wanted}'")
            continue
        if wanted.contains(version, prereleases=True):
            yield Finding(name, version)
        else:
            problem = f"outside the range this was made for, {wanted}"
            yield Finding(name, version, problem, f"pip install '{name}{wanted}'")


def hook() -> Finding:
    """Whether the hook's files lie where site looks for them, and the switch is not set."""
    subject = "start-up hook"
    if switched_off():
        problem = f"{SWITCH}={os.environ[SWITCH]} keeps mergekit-yaml and lm_eval from seeing the plugin"
        return Finding(subject, "switched off", problem, f"unset {SWITCH}, or use the sae-merge commands")
    try:
        own = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return Finding(subject, "not installed", "its files come with an installation only", _REINSTALL)
    absent = [name for name in HOOK_FILES if not Path(str(own.locate_file(name))).is_file()]
    if absent:
        return Finding(subject, "incomplete", f"{' and '.join(absent)} missing in site-packages", _REINSTALL)
    return Finding(subject, f"installed in {own.locate_file('')}")


def device() -> Finding:
    """What torch would compute on."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("device", "unknown", f"torch cannot be imported: {error}", "reinstall torch")
    name = resolve_device()
    return Finding("device", f"cuda ({torch.cuda.get_device_name(0)})" if name == "cuda" else name)


def products() -> Iterator[Finding]:
    """How fast matrix products are there, beside all else that runs now: what most commands wait for."""
    try:
        import torch
    except (ImportError, OSError):
        return  # told with the device
    from sae_merge_method.models.precision import speed_of_products

    at = torch.device(resolve_device())
    speeds = [f"{speed_of_products(getattr(torch, name), at) / 1e9:,.0f} in {name}" for name in _PRECISIONS]
    threads = f" by OMP_NUM_THREADS={torch.get_num_threads()}" if at.type == "cpu" else ""
    yield Finding("products", f"{' and '.join(speeds)}, in billions of operations a second{threads}")


def cache() -> Finding:
    """Whether the cache folder, or the nearest folder above it that exists, takes a file."""
    root = cache_root()
    standing = next(folder for folder in (root, *root.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=standing):
            return Finding("cache", str(root))
    except OSError as error:
        problem = f"cannot write to {standing}: {error.strerror}"
        return Finding("cache", str(root), problem, "mend its permissions, or set XDG_CACHE_HOME elsewhere")


# Each runs in an interpreter of its own that imports the host first, as the host's commands do,
# and prints the names of ours that it then finds there.
_PROBES = {
    "mergekit": """
from mergekit.merge_methods import registered_methods
known = registered_methods()
from sae_merge_method.merge.methods import mergekit_methods
names = [method.spec.name for method in mergekit_methods() if method in known]
""",
    "lm-eval": """
from lm_eval.tasks import TaskManager
index = TaskManager().task_index
from sae_merge_method.lm_eval_tasks import tasks_path
ours = [e for e in index.values() if e.yaml_path and tasks_path() in e.yaml_path.resolve().parents]
names = [entry.name for entry in ours if entry.kind.name == "GROUP"]
""",
}


def seen_by_hosts() -> Iterator[Finding]:
    """Ask a fresh interpreter per host, both at once, away from the working folder's modules."""
    with tempfile.TemporaryDirectory() as nowhere:
        running = {
            host: subprocess.Popen(
                [sys.executable, "-c", f"{probe}\nimport json; print(json.dumps(names))"],
                cwd=nowhere,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for host, probe in _PROBES.items()
        }
        try:
            for host, process in running.items():
                yield _seen(host, process)
        finally:
            for process in running.values():
                process.kill()
                process.wait()


def _seen(host: str, process: "subprocess.Popen[str]") -> Finding:
    subject = f"seen by {host}"
    try:
        out, err = process.communicate(timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        problem = f"a fresh interpreter did not answer within {_PROBE_SECONDS} s"
        return Finding(subject, "unknown", problem, "try again when the machine is less busy")
    if process.returncode != 0:
        last = err.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        mend = "reinstall what the message names, or all: pip install --force-reinstall . in our own folder"
        return Finding(subject, "no", f"importing {host} and this plugin fails: {last[0]}", mend)
    names = json.loads(out.splitlines()[-1])
    if names:
        return Finding(subject, ", ".join(sorted(names)))
    complaints = [line[line.index(COMPLAINT) :] for line in err.splitlines() if COMPLAINT in line]
    problem = complaints[0] if complaints else "a fresh interpreter does not run the start-up hook"
    return Finding(subject, "no", problem, _without_hook(host))


def _without_hook(host: str) -> str:
    """How to get the hook back, and how to do without it."""
    cure = f"unset {SWITCH}" if switched_off() else _REINSTALL
    if host == "mergekit":
        return f"{cure}; 'sae-merge merge' works without the hook"
    return f'{cure}; without the hook: lm_eval --include_path "$(sae-merge tasks-path)"'
