"""``import sae_merge_method as sm``: cheap to import, whole once it is used, and typed."""

import ast
import inspect
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest

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
