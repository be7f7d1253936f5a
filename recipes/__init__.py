"""Ready-made recipes, and settings of other commands, and the way to find them: by name, by model.

Recipes lie here as files. Settings of models with public SAEs are made from the rows of ``suites``, those
with public donors too from the rows of ``mergebench``.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.errors import UsageError
from sae_merge_method.recipes.mergebench import experiments
from sae_merge_method.recipes.suites import SUITE_MODELS, SuiteModel

if TYPE_CHECKING:
    from importlib.abc import Traversable  # elsewhere from Python 3.14 on

_DIAGNOSE, _EXPERIMENT = "diagnose", "experiment"
_FOLDERS = (_EXPERIMENT, "tune")
"""Where settings lie that are made for one model alone."""
_MODEL_KEYS = ("model: ", "base: ", "base_model: ")
"""How a line begins that says which model a file is for."""


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
    def model(self) -> str:
        """The model it is for: an id on the Hub, or a folder where the model is made on the spot."""
        lines = [line for line in self.text.splitlines() if line.startswith(_MODEL_KEYS)]
        return lines[0].split()[1]

    @property
    def file_name(self) -> str:
        """What its copy is called: ``diagnose/x`` becomes ``diagnose-x.yml``."""
        return f"{self.name.replace('/', '-')}.yml"


class Fitting(NamedTuple):
    """What is ready for a model."""

    files: tuple[ReadyFile, ...]
    why: str
    """How the model was known, in a sentence."""


def ready_recipes() -> tuple[ReadyFile, ...]:
    """The recipes, by name."""
    return _in_folder(files(__name__), "")


def ready_settings() -> tuple[ReadyFile, ...]:
    """The files for ``diagnose --config``, ``experiment run`` and ``tune``."""
    made = [
        (f"{kind}/{row.name}", text)
        for row in SUITE_MODELS.values()
        for kind, text in ((_DIAGNOSE, row.diagnosis), (_EXPERIMENT, row.experiment))
    ]
    made += [(f"{_EXPERIMENT}/{name}", text) for name, text in experiments().items()]
    ready = (ReadyFile(name, _summary(text), text) for name, text in made)
    return (*ready, *(file for name in _FOLDERS for file in _in_folder(files(__name__) / name, f"{name}/")))


def ready_files() -> tuple[ReadyFile, ...]:
    """All of them, by model as the suites list them; those for a model that is made on the spot are last."""
    order = [row.model for row in SUITE_MODELS.values()]

    def position(file: ReadyFile) -> int:
        return order.index(file.model) if file.model in order else len(order)

    return tuple(sorted((*ready_settings(), *ready_recipes()), key=position))


def ready_for(model: str) -> Fitting:
    """What fits a model: by its id, or else by the type and sizes in its config.

    Args:
        model: Folder, or Hub id with an optional @revision.

    Raises:
        UsageError: Nothing does.
        ModelError: It is no id of a ready file, and its config cannot be had.
    """
    from sae_merge_method.models.hub import open_config, parse_model_id

    id = parse_model_id(model).path.lower()
    named = tuple(file for file in ready_files() if file.model.lower() == id)
    if named:
        return Fitting(named, f"made for {named[0].model}")
    config = open_config(model)
    shape = (config.text_model_type, config.stated_layers, config.d_model)
    alike = {row.model for row in SUITE_MODELS.values() if _shape(row) == shape}
    told = f"{shape[0]}, {shape[1]} layers, width {shape[2]}"
    if not alike:
        raise UsageError(
            f"nothing ready fits {model} ({told}): sae-merge recipes lists what there is; sae-merge "
            "train-saes makes SAEs for any model, and sae-merge diagnose --help says which others can be read"
        )
    fit = tuple(file for file in ready_files() if file.model in alike)
    return Fitting(
        fit,
        f"of the same shape as {model} ({told}): take the one it was made from, and name "
        "yours with --model; SAEs of another model tell little, and the explained variance says so",
    )


def _shape(row: SuiteModel) -> tuple[str, int, int]:
    return (row.model_type, row.n_layers, row.d_model)


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
            ready.append(ReadyFile(prefix + Path(entry.name).stem, _summary(text), text))
    return tuple(sorted(ready, key=lambda file: file.name))


def _summary(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ")
