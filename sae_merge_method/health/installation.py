"""What can be seen from inside this process: versions, the hook's files, the device, the cache."""

import importlib.metadata
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from sae_merge_method._startup import SWITCH, switched_off
from sae_merge_method.health.finding import DISTRIBUTION, REINSTALL, Finding
from sae_merge_method.miniature.cache import cache_root

SHOWN = ("torch", "mergekit", "lm-eval", "sae-lens", "transformers", "safetensors")
HOOK_FILES = ("sae_merge_method.pth", "sae_merge_method.start")


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
        return Finding(subject, "not installed", "its files come with an installation only", REINSTALL)
    absent = [name for name in HOOK_FILES if not Path(str(own.locate_file(name))).is_file()]
    if absent:
        return Finding(subject, "incomplete", f"{' and '.join(absent)} missing in site-packages", REINSTALL)
    return Finding(subject, f"installed in {own.locate_file('')}")


def device() -> Finding:
    """What torch would compute on."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("device", "unknown", f"torch cannot be imported: {error}", "reinstall torch")
    if torch.cuda.is_available():
        return Finding("device", f"cuda ({torch.cuda.get_device_name(0)})")
    return Finding("device", "mps" if torch.backends.mps.is_available() else "cpu")


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
