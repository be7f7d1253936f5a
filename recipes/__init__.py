"""Ready-made recipes, and settings of other commands, and the way to find them once installed."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    from importlib.abc import Traversable  # elsewhere from Python 3.14 on

_SETTINGS = ("diagnose", "experiment")
"""Commands whose settings lie in folders of their names."""


@dataclass(frozen=True)
class ReadyFile:
    """One file that comes with the package."""

    name: str
    """A recipe's own name; of settings the command's and theirs, such as ``diagnose/gemma-3-4b-it``."""
    summary: str
    """Its first comment line."""
    text: str
    """All of it."""

    @property
    def file_name(self) -> str:
        """What its copy is called: ``diagnose/x`` becomes ``diagnose-x.yml``."""
        return f"{self.name.replace('/', '-')}.yml"


def ready_recipes() -> tuple[ReadyFile, ...]:
    """The recipes, by name."""
    return _in_folder(files(__name__), "")


def ready_settings() -> tuple[ReadyFile, ...]:
    """The files for ``diagnose --config`` and ``experiment run``, by name."""
    return tuple(file for name in _SETTINGS for file in _in_folder(files(__name__) / name, f"{name}/"))


def ready_files() -> tuple[ReadyFile, ...]:
    """All of them: the recipes first."""
    return (*ready_recipes(), *ready_settings())


def ready_file(name: str) -> ReadyFile:
    """The file of that name.

    Raises:
        UsageError: There is none; the message lists the names.
    """
    by_name = {file.name: file for file in ready_files()}
    if name not in by_name:
        raise UsageError(f"no ready-made recipe {name!r}: expected one of {', '.join(by_name)}")
    return by_name[name]


def _in_folder(folder: "Traversable", prefix: str) -> tuple[ReadyFile, ...]:
    ready = []
    for entry in folder.iterdir():
        if entry.name.endswith(".yml"):
            text = entry.read_text(encoding="utf-8")
            summary = text.partition("\n")[0].lstrip("# ")
            ready.append(ReadyFile(prefix + Path(entry.name).stem, summary, text))
    return tuple(sorted(ready, key=lambda file: file.name))
