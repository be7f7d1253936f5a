"""What a result depends on beside its settings, in a line each: files of a folder, versions of packages.

A run that goes on after a kill holds its own against those of the one that was interrupted.
"""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sae_merge_method.files.hashing import file_sha256, json_sha256

COMPUTING = ("torch", "transformers")
"""Packages whose releases can change what a model makes of a text."""
ENCODING = ("sae-lens", *COMPUTING)
"""Those that can change what an SAE makes of that."""
EVALUATING = ("lm-eval", "math-verify", "sympy", "torch", "transformers", "vllm")
"""Those that can change what a model scores."""


def folder_stamp(folder: Path, without: Path | None = None, unread: str | None = None) -> str:
    """sha256 over a folder's file names and bytes; what is hidden or made by Python itself does not count.

    Args:
        folder: Where the files lie, at any depth.
        without: A folder that does not count, should it lie in there.
        unread: Name of files that do not count, wherever in there.
    """
    root = folder.resolve()
    left_out = None if without is None else without.resolve()
    files = {
        str(file.relative_to(root)): file_sha256(file)
        for file in sorted(root.rglob("*"))
        if file.is_file()
        and file.name != unread
        and not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(root).parts)
        and (left_out is None or not file.is_relative_to(left_out))
    }
    return json_sha256([*files.items()])


def package_versions(packages: Iterable[str]) -> str:
    """Versions of those packages that are installed, in a line."""
    return ", ".join(f"{name} {installed}" for name in packages if (installed := _version(name)))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
