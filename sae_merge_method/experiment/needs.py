"""What an experiment takes: models and SAEs that have to be fetched, memory of a GPU, room on the disk.

Sizes are those of folders, of the Hub where it can be asked, else those of the rows of ``recipes.suites``.
Of a model on the Hub nothing but config.json is fetched, and no weight is read.
"""

from math import prod
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.recipe import read_recipe_text
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.sited_saes import find_families
from sae_merge_method.errors import ModelError
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.hub import folder_at_hand, open_config, parse_model_id
from sae_merge_method.models.repository import is_hub_id
from sae_merge_method.recipe.located import locate
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.pin import donors_of
from sae_merge_method.recipes.suites import SUITE_MODELS, SuiteModel
from sae_merge_method.saes.dictionaries import DICTIONARIES

_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4, "auto": 2}
"""Of a number, by the dtype that a model is run in; auto is nearly always one of 16 bits."""
_SAE_BYTES = 4
"""Of a number in the files of SAEs; in some it is 2."""
_BUFFERS = 4 * 4
"""Bytes a token and feature that encoding a batch takes: four buffers of float32."""

HERE = "on this machine"


class Item(NamedTuple):
    """Something that has to be on this machine."""

    what: str
    """Base, donor, donor of a recipe of the user's, or SAEs."""
    name: str
    size: int | None
    """Bytes; None where nobody could tell."""
    missing: int | None
    """Bytes of it that have to be fetched; None where nobody could tell."""
    source: str
    """Where the size is from, in words."""
    unasked: str | None = None
    """Why it is no better known; None where it is."""


class Needs(NamedTuple):
    """All that an experiment takes."""

    items: tuple[Item, ...]
    evaluation: int | None
    """Bytes of the weights in a GPU while an arm is evaluated; batches come on top."""
    diagnosis: tuple[int, int] | None
    """Bytes in a GPU while a diagnosis is made: with one layer's encoder at a time, and with all at once.
    None where none is to be made, or nobody could tell."""

    @property
    def missing(self) -> int | None:
        """Bytes to fetch, over all whose size is known; None where that is none of them."""
        known = [item.missing for item in self.items if item.missing is not None]
        return sum(known) if known else None

    @property
    def checkpoint(self) -> int | None:
        """Bytes of one arm's merged checkpoint."""
        return self.items[0].size


class Shape(NamedTuple):
    """Of a base model, as far as it is known without its weights."""

    n_layers: int
    d_model: int | None
    suite: SuiteModel | None
    """Its row among the suites, where it has one."""


def shape_of(base: str) -> Shape:
    """Layers and width of a model, by its config or its row among the suites.

    Raises:
        ModelError: Its config cannot be had, and it has no row.
    """
    suite = next((row for row in SUITE_MODELS.values() if row.model == parse_model_id(base).path), None)
    try:
        config = open_config(base)
        return Shape(config.stated_layers, config.d_model, suite)
    except ModelError:
        if suite is None:
            raise
        return Shape(suite.n_layers, suite.d_model, suite)


def needs_of(settings: ExperimentSettings, shape: Shape) -> Needs:
    """Look up what an experiment takes.

    Raises:
        ModelError: A model is named that is no folder and no Hub id.
        SaeError: There are no such SAEs.
        ArtifactError: There is no such recipe of the user's.
        RecipeError: One cannot be read.
    """
    base = _model("base", settings.base, shape.suite)
    donor = _model("donor", settings.donor, shape.suite)
    own = [_model("own recipe's donor", name, shape.suite) for name in own_donors(settings)]
    numbers = _numbers(settings.base, shape.suite)
    asked = settings.to_diagnose() if isinstance(settings.diagnosis, dict) else None
    saes = [_saes(asked, shape)] if asked is not None else []
    evaluated = str(settings.evaluation.model_args.get("dtype", "auto"))
    return Needs(
        (base, donor, *own, *(one for one in saes if one is not None)),
        None if numbers is None else numbers * _BYTES.get(evaluated, 2),
        None if asked is None or numbers is None else _diagnosing(asked, shape, numbers),
    )


def own_donors(settings: ExperimentSettings) -> tuple[str, ...]:
    """Models that the user's own recipes name beside the experiment's base and donor.

    Raises:
        ArtifactError: There is no such recipe.
        RecipeError: One cannot be read.
    """
    recipes = [parse_recipe(read_recipe_text(file), str(file)) for file in settings.own_recipes().values()]
    named = dict.fromkeys(donor for recipe in recipes for donor in donors_of(recipe))
    return tuple(name for name in named if name not in (settings.base, settings.donor))


def is_here(name: str) -> bool:
    """Whether a model's weights are on this machine; nobody is asked."""
    folder = folder_at_hand(parse_model_id(name))
    return folder is not None and any(folder.glob("*.safetensors"))


def _model(what: str, name: str, suite: SuiteModel | None) -> Item:
    model = parse_model_id(name)
    try:
        located = locate(model)
    except ModelError as error:
        if not is_hub_id(model.path):
            raise
        if suite is None or suite.parameters is None:
            return Item(what, name, None, None, "nothing", str(error))
        size = suite.parameters * 2
        source = f"{suite.parameters / 1e9:.2f}B parameters in bfloat16"
        return Item(what, name, size, size, source if what == "base" else "as the base", str(error))
    where = HERE if located.missing == 0 else "as the Hub says"
    return Item(what, name, located.size, located.missing, where)


def _numbers(name: str, suite: SuiteModel | None) -> int | None:
    """Numbers in a model's weights."""
    folder = folder_at_hand(parse_model_id(name))
    if folder is not None:
        try:
            return sum(prod(entry.shape) for entry in open_checkpoint(folder).tensors.values())
        except ModelError:
            pass  # its config alone is in the Hub's cache
    return None if suite is None else suite.parameters


def _saes(asked: DiagnoseSettings, shape: Shape) -> Item | None:
    """The SAEs of a diagnosis that is to be made; None where those are made on the spot."""
    if not set(asked.sae) - set(DICTIONARIES):
        return None
    addresses = [address for of_family in find_families(asked, shape.n_layers) for address in of_family]
    folders = [Path(one.folder) for one in addresses if one.folder is not None]
    name = (
        ", ".join((*asked.sae, *asked.sae_id))
        if len(asked.sae) > 1
        else " ".join((*asked.sae, *asked.sae_id))
    )
    if folders:
        size = sum(file.stat().st_size for at in folders for file in at.rglob("*") if file.is_file())
        return Item("SAEs", name, size, 0, HERE)
    row = shape.suite
    if row is None or asked.sae != (row.sae,):
        return Item("SAEs", name, None, None, "nothing", f"{name} is no suite that sae-merge recipes lists")
    size = 2 * row.d_model * row.d_sae * _SAE_BYTES * len(addresses)
    return Item("SAEs", name, size, size, f"{len(addresses)} of {row.d_sae:,} features in float32")


def _diagnosing(asked: DiagnoseSettings, shape: Shape, numbers: int) -> tuple[int, int] | None:
    row = shape.suite
    if row is None or asked.sae != (row.sae,):
        return None
    each = _BYTES[asked.dtype]
    # Of the dictionaries that nobody trained, one has as many directions as the SAE beside which it is used.
    encoder = row.d_model * row.d_sae * each * (2 if "random" in asked.dictionaries else 1)
    fixed = numbers * each + asked.batch_tokens * row.d_sae * _BUFFERS
    return fixed + encoder, fixed + encoder * shape.n_layers
