"""``import sae_merge_method as sm``: cheap to import, whole once it is used, and typed."""

import ast
import inspect
import os
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest
from mypy import api as mypy

import sae_merge_method as sm

SOURCE = Path(sm.__file__)
NAMES = sm.__all__
FUNCTIONS = [name for name in NAMES if isinstance(getattr(sm, name), FunctionType)]


def in_a_new_process(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_import_loads_no_other_module():
    code = "import sys; was = set(sys.modules); import sae_merge_method; print({*sys.modules} - was)"
    assert in_a_new_process(code) in ("{'sae_merge_method'}", "set()")


def test_listing_what_is_offered_loads_nothing_either():
    code = "import sys, sae_merge_method as sm; was = set(sys.modules); dir(sm), sm.__all__; print({*sys.modules} - was)"
    assert in_a_new_process(code) == "set()"


def test_no_function_needs_a_heavy_library_before_it_is_called():
    heavy = {"torch", "transformers", "lm_eval", "mergekit", "sae_lens", "matplotlib", "pandas", "datasets"}
    code = (
        "import sys, sae_merge_method as sm; [getattr(sm, name) for name in sm.__all__]; print(*sys.modules)"
    )
    assert not heavy & set(in_a_new_process(code).split())


@pytest.mark.parametrize("name", NAMES)
def test_every_name_stands_in_dir_and_is_documented(name):
    assert name in dir(sm)
    assert inspect.getdoc(getattr(sm, name))


def test_a_star_import_gives_what_is_offered_and_nothing_else():
    names = {}
    exec("from sae_merge_method import *", names)
    assert set(names) - {"__builtins__"} == set(NAMES)


def test_a_misspelt_name_is_an_error():
    with pytest.raises(AttributeError, match="'sae_merge_method' has no attribute 'diagnoze'"):
        sm.diagnoze  # noqa: B018


def test_type_checkers_are_told_of_the_same_names_from_the_same_modules():
    (block,) = (
        node.body
        for node in ast.parse(SOURCE.read_text()).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.orelse
    )
    told = {
        (alias.asname, node.module)
        for node in block
        if isinstance(node, ast.ImportFrom) and node.module != "types"
        for alias in node.names
    }
    assert told == {(name, f"sae_merge_method.{home}") for name, home in sm._HOMES.items()}


SHARED = sorted(name for name in NAMES if (SOURCE.parent / name).is_dir())


def test_a_function_is_a_function_though_the_package_of_its_name_was_imported_first():
    packages = ", ".join(f"sae_merge_method.{name}" for name in SHARED)
    code = f"import {packages}; import sae_merge_method as sm; "
    code += f"print(*(type(getattr(sm, name)).__name__ for name in {SHARED}))"
    assert in_a_new_process(code).split() == ["function"] * len(SHARED)


@pytest.mark.parametrize("name", SHARED)
def test_the_package_of_a_functions_name_can_be_imported_from(name):
    assert getattr(sm, name)
    for file in (SOURCE.parent / name).glob("[a-z]*.py"):
        names = {}
        exec(f"from sae_merge_method.{name} import {file.stem}", names)
        assert names[file.stem] is import_module(f"sae_merge_method.{name}.{file.stem}")


def test_a_function_that_uses_the_module_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(sm)) is sm


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_are_keyword_only_and_the_return_value_is_named(name):
    signature = inspect.signature(getattr(sm, name))
    assert signature.return_annotation is not inspect.Signature.empty
    loose = [one.name for one in signature.parameters.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert not {"overwrite", "report", "options", "weight", "seed"} & set(loose)


GOOD = """
import sae_merge_method as sm
from pathlib import Path

scores: dict[int | sm.LayerModule, float] = sm.read_diagnosis(Path("diagnosis")).scores()
settings = sm.DiagnoseSettings(model="b", sae=("s",), target="t", control=("c",), seed=1, select="elbow")
corrected: float | None = sm.diagnose(settings, Path("diagnosis"), overwrite=True).layers[0].score
again: sm.Diagnosis = sm.score("diagnosis", sm.ScoringSettings(score="js_bits"), out="rescored")
chosen: tuple[int | sm.LayerModule, ...] = sm.select_layers(again, "top_k=3", units="corrected").layers
recipe = sm.write_recipe(sm.RecipeSettings(diagnosis="d", base="b", donor="c", weight=0.5), "r.yml")
written: float = sm.merge(Path("r.yml"), "out", sm.MergeSettings(hash_all=True)).energy
proved: bool = sm.verify("out", base=Path("base")).sound
moved: tuple[str, ...] = tuple(tensor.name for tensor in sm.diff("base", "out").changed)
kept: float | None = sm.energy(sm.EnergySettings(base="b", donor="c", diagnosis="d", draws=2)).total.kept
gained: float = sm.compare("one", Path("two"), settings=sm.CompareSettings(alpha=0.01)).subjects[0].delta
both: sm.Comparison | sm.ComparisonSet = sm.compare("one", "two", "three")
arms: int = len(sm.run_experiment("experiment.yml", "experiment", sm.RunSettings(workers=0)).arms)
"""
BAD = {
    "sm.diagnoze": "Module has no attribute",
    "sm.read_diagnosis(4)": "incompatible type",
    "sm.read_diagnosis('diagnosis').skores": "has no attribute",
    "sm.diagnose(settings, 'out', True)": "Too many positional arguments",
    "sm.merge('r.yml', 'out', overwrit=True)": "Unexpected keyword argument",
    "sm.EnergySettings(base='b', donor='c')": "Missing named argument",
}


def test_type_checkers_see_the_real_signatures(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(SOURCE.parent.parent))
    good, bad = GOOD.strip().splitlines(), list(BAD)
    snippet = tmp_path / "snippet.py"
    snippet.write_text("\n".join([*good, *bad]) + "\n")
    config = tmp_path / "mypy.ini"
    # What is not ours, and no settings record is made of, need not be read: that alone takes a minute.
    config.write_text(
        "[mypy]\nstrict = True\nfollow_imports = skip\nignore_missing_imports = True\n"
        "[mypy-numpy.*,matplotlib.*]\nfollow_imports_for_stubs = True\n"
        "[mypy-sae_merge_method.*,pydantic.*,pydantic_core.*,annotated_types.*]\nfollow_imports = silent\n"
    )
    options = ["--config-file", str(config), "--cache-dir", os.devnull, "--no-error-summary"]
    lines = [line for line in mypy.run([*options, str(snippet)])[0].splitlines() if ": error:" in line]
    told = {int(line.split(":")[1]) - len(good) - 1: line for line in reversed(lines)}
    assert not [line for number, line in told.items() if number < 0]
    assert {bad[number] for number in told} == set(bad)
    for number, line in told.items():
        assert BAD[bad[number]] in line
