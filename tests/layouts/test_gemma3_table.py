"""The layout table: every base with every donor is edited right, or refused before a byte is written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from sae_merge_method.errors import MergeError
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.recipe.mergekit_form import guarded_form
from sae_merge_method.recipe.plan import Donation, EditPlan
from tests import tiny
from tests.layouts.checkpoints import LAYOUTS, assert_same, expected, gemma3
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe

ALPHA = 0.75
OPEN = (1, 3)


def merge(base: Path, donor: Path, out: Path, engine: str = "direct") -> tiny.Tensors:
    source = recipe_text(base, donor, weight=str(ALPHA))
    run_recipe(source, out, engine=engine)
    return tiny.load_tensors(out)


# What differs beside the layout: each changes the donor, or the base, or both.
VARIANTS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "plain": ({}, {}),
    "sharded base": ({"shards": 3}, {}),
    "sharded donor": ({}, {"shards": 4}),
    "float32 donor": ({}, {"dtype": torch.float32}),
    "float16 donor": ({}, {"dtype": torch.float16}),
    "untied base": ({"tied": False}, {}),
    "untied donor": ({}, {"tied": False}),
    "resized donor": ({}, {"vocabulary": 64}),
    "all at once": (
        {"shards": 2, "tied": False},
        {"shards": 3, "dtype": torch.float32, "vocabulary": 56, "tied": False},
    ),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes what ``gemma3`` makes, each model once: many cells read the same ones."""
    folder = tmp_path_factory.mktemp("checkpoints")
    made: dict[object, Path] = {}

    def make(layout: str, seed: int, options: dict[str, object]) -> Path:
        key = (layout, seed, *sorted(options.items()))
        if key not in made:
            made[key] = gemma3(folder / str(len(made)), layout, seed, **options)
        return made[key]

    return make


def in_cell(base_layout: str, donor_layout: str) -> list[str]:
    """Variants of a cell: the first and the last in each, the others once with each layout of either side."""
    shift = LAYOUTS.index(donor_layout) - LAYOUTS.index(base_layout)
    last = len(VARIANTS) - 1
    return [
        name for nth, name in enumerate(VARIANTS) if nth in (0, last) or (nth - shift) % len(LAYOUTS) == 0
    ]


@pytest.mark.parametrize("base_layout", LAYOUTS)
@pytest.mark.parametrize("donor_layout", LAYOUTS)
def test_every_cell_is_right_in_the_bases_own_layout(tmp_path, checkpoint, base_layout, donor_layout):
    for name in in_cell(base_layout, donor_layout):
        of_base, of_donor = VARIANTS[name]
        base, donor = checkpoint(base_layout, 0, of_base), checkpoint(donor_layout, 1, of_donor)
        out = tmp_path / name.replace(" ", "-")
        assert_same(merge(base, donor, out), expected(base, donor, OPEN, ALPHA))
        shards = sorted(path.name for path in base.glob("*.safetensors*"))
        assert sorted(path.name for path in out.glob("*.safetensors*")) == shards


@pytest.mark.parametrize("donor_layout", LAYOUTS)
@pytest.mark.parametrize("base_layout", LAYOUTS)
def test_the_mergekit_engine_agrees_or_refuses_naming_both_layouts(tmp_path, base_layout, donor_layout):
    base = gemma3(tmp_path / "base", base_layout, 0, tied=False)
    donor = gemma3(tmp_path / "donor", donor_layout, 1, dtype=torch.float32, vocabulary=56)
    if base_layout in ("HUB", "TXT"):
        found = merge(base, donor, tmp_path / "out", engine="mergekit")
        assert_same(found, expected(base, donor, OPEN, ALPHA))
        tied = gemma3(tmp_path / "tied", base_layout, 0, shards=2)
        half = gemma3(tmp_path / "half", donor_layout, 1, dtype=torch.float16, tied=False, shards=3)
        assert_same(merge(tied, half, tmp_path / "too", "mergekit"), expected(tied, half, OPEN, ALPHA))
        return
    with pytest.raises(
        MergeError, match=r"base's layout \(.*\).*mergekit's own layout is .*; pass --engine direct"
    ):
        merge(base, donor, tmp_path / "out", engine="mergekit")
    assert not (tmp_path / "out").exists()


# Plain mergekit-yaml, by the recipe alone: what it can be brought to.
PLAIN = {("HUB", "HUB"), ("HUB", "T5"), ("TXT", "TXT")}


@pytest.mark.parametrize("donor_layout", LAYOUTS)
@pytest.mark.parametrize("base_layout", LAYOUTS)
def test_plain_mergekit_is_right_or_fails_loudly_with_the_written_recipe(tmp_path, base_layout, donor_layout):
    from mergekit.io.tasks import LoaderCache

    base = gemma3(tmp_path / "base", base_layout, 0)
    donor = gemma3(tmp_path / "donor", donor_layout, 1, vocabulary=56, shards=2)
    donation = Donation(str(donor), ((None, ALPHA),))
    plan = EditPlan("sae_stethoscope", str(base), dict.fromkeys(OPEN, (donation,)), "bfloat16")
    form, out = yaml.safe_dump(guarded_form(plan, open_checkpoint(base))), tmp_path / "out"
    try:
        if (base_layout, donor_layout) in PLAIN:
            assert_same(plain_mergekit(form, out, copy_tokenizer=False), expected(base, donor, OPEN, ALPHA))
        else:
            with pytest.raises(RuntimeError):
                plain_mergekit(form, out, copy_tokenizer=False)
    finally:
        LoaderCache().loaders.clear()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_edited_checkpoint_loads_with_the_logits_of_the_same_edit_in_text_layout(tmp_path, layout):
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    base = gemma3(tmp_path / "base", layout, 0, dtype=torch.float32)
    merge(base, gemma3(tmp_path / "donor", "RAW", 1), tmp_path / "out")
    loader = AutoModelForCausalLM if layout == "TXT" else AutoModelForImageTextToText
    text = gemma3(tmp_path / "text", "TXT", 0, dtype=torch.float32)
    merge(text, gemma3(tmp_path / "text-donor", "HUB", 1), tmp_path / "text-out")
    tokens = torch.tensor([[2, 5, 7, 11]])
    with torch.no_grad():
        found = loader.from_pretrained(tmp_path / "out")(input_ids=tokens).logits
        wanted = AutoModelForCausalLM.from_pretrained(tmp_path / "text-out")(input_ids=tokens).logits
        before = AutoModelForCausalLM.from_pretrained(text)(input_ids=tokens).logits
    assert torch.allclose(found, wanted, atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-3)
