"""One meaning of dtype, out_dtype and rounding: the same bytes by both engines, by mergekit-yaml, and in place."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mergekit.merge_methods import merge_state_dicts

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.hosts.register import register_merge_methods
from sae_merge_method.merge import tensor_edit
from sae_merge_method.models.random_bits import RandomBits
from sae_merge_method.models.reading import pieces
from sae_merge_method.models.stochastic import round_stochastically
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.geometry import scenes
from tests.merge.edited_in_place import edit
from tests.merge.scalpels import LAYERS, parameters, recipe
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe

LAYERS_1_3 = 'layers: "1, 3"'
STOCHASTIC = 'layers: "1, 3", rounding: stochastic, rounding_seed: 5'
ALPHA = 0.003  # so that the edit is of the size of bfloat16's step
DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
}


class Case(NamedTuple):
    """Types of base and donor, what the recipe says, what is computed first, and what is written."""

    base: str
    donor: str
    tail: str
    loaded: str | None
    written: str


CASES = [
    Case("bfloat16", "float32", "", None, "bfloat16"),
    Case("bfloat16", "float64", "", None, "bfloat16"),
    Case("bfloat16", "float32", "dtype: float32\nout_dtype: bfloat16", "float32", "bfloat16"),
    Case("bfloat16", "float16", "out_dtype: bfloat16", None, "bfloat16"),
    Case("float16", "bfloat16", "dtype: float32\nout_dtype: float16", "float32", "float16"),
    Case("float16", "float16", "out_dtype: bfloat16", None, "bfloat16"),
    Case("float32", "bfloat16", "out_dtype: bfloat16", None, "bfloat16"),
    Case("float64", "float32", "out_dtype: float32", None, "float32"),
]
WIDE = [
    Case("bfloat16", "bfloat16", "dtype: float32", "float32", "float32"),
    Case("bfloat16", "bfloat16", "out_dtype: float32", None, "float32"),
    Case("bfloat16", "float32", "dtype: bfloat16\nout_dtype: float32", "bfloat16", "float32"),
    Case("bfloat16", "float64", "dtype: float32", "float32", "float32"),
    Case("float16", "bfloat16", "dtype: float64", "float64", "float64"),
]


def computed(case: Case, kind: str, folder: Path, name: str) -> torch.Tensor:
    """What one edited tensor must be, by the definition."""
    base, donor = (tiny.load_tensors(folder / side)[name] for side in ("base", "donor"))
    if case.loaded:
        base, donor = base.to(DTYPES[case.loaded]), donor.to(DTYPES[case.loaded])
    precise = torch.float64 if torch.float64 in (base.dtype, donor.dtype) else torch.float32
    theta = base.to(precise)
    edited = theta + (donor.to(precise) - theta) * ALPHA
    if kind == "nearest":
        return edited.to(DTYPES[case.written])
    return round_stochastically(edited, DTYPES[case.written], RandomBits.of(5, name))


def told(case: Case | str) -> str:
    return case if isinstance(case, str) else f"{case.base} {case.donor} {case.tail}".replace("\n", " ")


@pytest.mark.parametrize(
    ("case", "kind"),
    [*((case, "stochastic") for case in CASES), *((case, "nearest") for case in [*CASES[::3], *WIDE])],
    ids=told,
)
def test_every_door_gives_the_bytes_of_the_definition(tmp_path, case, kind):
    tiny.gemma3_text(tmp_path / "base", 0, dtype=DTYPES[case.base], n_layers=2)
    tiny.gemma3_text(tmp_path / "donor", 1, dtype=DTYPES[case.donor], n_layers=2)
    gate = 'layers: "1"' + (", rounding: stochastic, rounding_seed: 5" if kind == "stochastic" else "")
    source = recipe_text(tmp_path / "base", tmp_path / "donor", gate, str(ALPHA), case.tail)
    written = {}
    for engine in ("direct", "mergekit")[case.written != case.base :]:  # the direct one would hand over
        run_recipe(source, tmp_path / engine, engine=engine)
        written[engine] = tiny.load_tensors(tmp_path / engine)
    written["mergekit-yaml"] = plain_mergekit(source, tmp_path / "stock")
    base = tiny.load_tensors(tmp_path / "base")
    for name in base:
        if decoder_layer(name) == 1:
            expected = computed(case, kind, tmp_path, name)
        else:
            expected = base[name].to(DTYPES[case.written])
        for door, tensors in written.items():
            assert tiny.same_bytes(tensors[name], expected), (door, name)


@pytest.mark.parametrize("kind", ["nearest", "stochastic"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_base_of_several_dtypes_keeps_each_tensors_own_by_every_door(tmp_path, dtype, kind):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16, change=tiny.wide_norms)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=DTYPES[dtype])
    gate = f'layers: "1, 3.mlp", rounding: {kind}, rounding_seed: 5'
    source = recipe_text(base, donor, gate, str(ALPHA))
    assert not check_recipe(RecipeText(source, "r")).faults
    for engine in ("direct", "mergekit"):
        run_recipe(source, tmp_path / engine, engine=engine)
        report = verify(tmp_path / engine)
        assert report.sound and not report.unproved
    plain_mergekit(source, tmp_path / "stock")
    before = {name: tensor.clone() for name, tensor in tiny.load_tensors(base).items()}
    given = tiny.load_tensors(donor)
    edit(source)
    doors = [tiny.load_tensors(tmp_path / name) for name in ("direct", "mergekit", "stock", "base")]
    for name, theta in before.items():
        expected = theta
        if decoder_layer(name) == 1 or (decoder_layer(name) == 3 and "mlp" in name):
            edited = theta.float() + (given[name].float() - theta.float()) * ALPHA
            by_chance = round_stochastically(edited, theta.dtype, RandomBits.of(5, name))
            expected = by_chance if kind == "stochastic" else edited.to(theta.dtype)
            assert not tiny.same_bytes(expected, theta)
        assert all(tiny.same_bytes(tensors[name], expected) for tensors in doors), name


def test_a_wider_donor_widens_what_mergekits_own_methods_write_and_nothing_of_ours(tmp_path):
    own = {name: tensor.bfloat16() for name, tensor in tiny.text_tensors(0).items()}
    own = {name: tensor.float() if "norm" in name else tensor for name, tensor in own.items()}
    base = tiny.save_checkpoint(tmp_path / "base", tiny.text_config(), own)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=torch.float32)
    source = recipe_text(base, donor, LAYERS_1_3, weight="0.5")
    for name, tensor in plain_mergekit(source, tmp_path / "ours").items():
        assert tensor.dtype == own[name].dtype
        assert tensor.equal(own[name]) == (decoder_layer(name) not in (1, 3))
    stock = source.replace("sae_stethoscope", "task_arithmetic").replace(LAYERS_1_3, "normalize: false")
    given = tiny.load_tensors(donor)
    for name, tensor in plain_mergekit(stock, tmp_path / "stock").items():
        base_tensor = own[name].float()
        assert tiny.same_bytes(tensor, base_tensor + (given[name] - base_tensor) * 0.5)


def test_a_dtype_given_to_mergekits_own_function_is_what_it_gives_back():
    register_merge_methods()
    models = {"base": tiny.text_tensors(0, dtype=torch.bfloat16), "donor": tiny.text_tensors(1)}
    for given, expected in (
        ({}, torch.bfloat16),
        ({"dtype": torch.float32}, torch.float32),
        ({"dtype": torch.float32, "out_dtype": torch.float16}, torch.float16),
    ):
        gate = {"layers": LAYERS}
        merged = merge_state_dicts(models, "sae_stethoscope", base="base", parameters=gate, **given)
        assert {tensor.dtype for tensor in merged.values()} == {expected}


def test_stochastic_bytes_do_not_depend_on_pieces_threads_or_place(tmp_path, monkeypatch):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16, shards=2)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=torch.bfloat16)
    source = recipe_text(base, donor, STOCHASTIC, str(ALPHA))
    run_recipe(source, tmp_path / "out", options={"num_threads": 4})
    expected = tiny.load_tensors(tmp_path / "out")
    monkeypatch.setattr(tensor_edit, "pieces", lambda length: pieces(length, 7))
    run_recipe(source, tmp_path / "small", options={"num_threads": 1})
    edit(source)
    for folder in (tmp_path / "small", base):
        tensors = tiny.load_tensors(folder)
        assert all(tiny.same_bytes(tensors[name], expected[name]) for name in expected)


def test_another_layout_of_the_base_is_rounded_alike(tmp_path):
    merged = {}
    for layout, prefix in (("text", "model."), ("raw", "model.language_model.")):
        folders = []
        for side, seed in (("base", 0), ("donor", 1)):
            tensors = tiny.text_tensors(seed, prefix=prefix, dtype=torch.bfloat16)
            folders.append(tiny.save_checkpoint(tmp_path / layout / side, tiny.text_config(), tensors))
        run_recipe(recipe_text(*folders, STOCHASTIC, str(ALPHA)), tmp_path / layout / "out")
        merged[layout] = {
            name.removeprefix(prefix): tensor
            for name, tensor in tiny.load_tensors(tmp_path / layout / "out").items()
        }
    assert merged["text"].keys() == merged["raw"].keys()
    assert all(tiny.same_bytes(merged["text"][name], merged["raw"][name]) for name in merged["text"])


def test_the_scalpels_part_is_rounded_alike_by_both_engines_and_by_mergekit_yaml(tmp_path):
    scene = scenes.build(tmp_path, dtype=torch.bfloat16)
    chosen = parameters(scene, layers=LAYERS, rounding="stochastic", rounding_seed=3)
    source = recipe(scene, **chosen)
    written = []
    for engine in ("direct", "mergekit"):
        run_recipe(source, tmp_path / engine, engine=engine)
        written.append(tiny.load_tensors(tmp_path / engine))
    written.append(plain_mergekit(source, tmp_path / "stock"))
    run_recipe(source.replace("rounding: stochastic", "rounding: nearest"), tmp_path / "nearest")
    nearest = tiny.load_tensors(tmp_path / "nearest")
    for other in written[1:]:
        assert all(tiny.same_bytes(written[0][name], other[name]) for name in other)
    assert any(not tiny.same_bytes(written[0][name], nearest[name]) for name in nearest)


def test_a_tensor_that_the_donor_did_not_change_stays_bit_for_bit(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor = tiny.gemma3_text(tmp_path / "donor", 0, dtype=torch.bfloat16)
    run_recipe(recipe_text(base, donor, STOCHASTIC, "0.7"), tmp_path / "out")
    before, after = tiny.load_tensors(base), tiny.load_tensors(tmp_path / "out")
    assert all(tiny.same_bytes(after[name], before[name]) for name in before)
