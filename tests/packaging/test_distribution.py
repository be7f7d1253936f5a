"""The wheel holds the tree, the whole tree, and nothing but one import name."""

import ast
import email
import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.conftest import PACKAGE_FOLDERS, ROOT, Built, build

NAME = "sae_merge_method"
HOOK = {f"{NAME}.pth", f"{NAME}.start"}


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_every_file_of_the_tree_and_no_other(built: Built, tree: Path) -> None:
    files = {
        path.relative_to(tree).as_posix()
        for folder in PACKAGE_FOLDERS
        for path in (tree / folder).rglob("*")
        if path.is_file()
    }
    expected = {name if name.startswith(NAME) else f"{NAME}/{name}" for name in files}
    wheel = {name for name in _contents(built.wheel) if ".dist-info/" not in name}
    assert wheel == expected | HOOK


def test_one_import_name_is_installed(built: Built) -> None:
    tops = {name.split("/")[0] for name in _contents(built.wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {NAME} | HOOK


def test_the_licence_comes_along(built: Built) -> None:
    contents = _contents(built.wheel)
    (licence,) = [text for name, text in contents.items() if name.endswith(".dist-info/licenses/LICENSE")]
    (metadata,) = [text for name, text in contents.items() if name.endswith(".dist-info/METADATA")]
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert b"License-Expression: Apache-2.0" in metadata


def test_the_sdist_builds_the_same_wheel_as_the_tree(built: Built, tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path, "--wheel")
    (direct,) = tmp_path.glob("*.whl")
    assert _contents(direct) == _contents(built.wheel)


def test_the_index_would_take_both(built: Built) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", str(built.sdist), str(built.wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def declared(built: Built) -> dict[str, Requirement]:
    """The requirements in the wheel's metadata, those of the dev extra included, by name."""
    (name,) = [name for name in _contents(built.wheel) if name.endswith(".dist-info/METADATA")]
    metadata = email.message_from_bytes(_contents(built.wheel)[name])
    requirements = map(Requirement, metadata.get_all("Requires-Dist", []))
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def _imported() -> set[str]:
    names: set[str] = set()
    for folder in PACKAGE_FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {NAME}


def test_every_library_that_is_imported_is_declared(declared: dict[str, Requirement]) -> None:
    owners = importlib.metadata.packages_distributions()
    undeclared = {
        module for module in _imported() if not {canonicalize_name(o) for o in owners[module]} & set(declared)
    }
    assert not undeclared


def test_the_declared_extras_exist(declared: dict[str, Requirement]) -> None:
    for name, requirement in declared.items():
        offered = importlib.metadata.metadata(name).get_all("Provides-Extra") or []
        assert requirement.extras <= set(offered), name


def test_the_constraints_pin_everything_declared_within_its_range(declared: dict[str, Requirement]) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(
        re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", pin) for pin in pins
    )  # no path, no local build
    pinned = {canonicalize_name(name): version for name, version in (pin.split("==") for pin in pins)}
    assert pinned["torch"] == "2.13.0"
    for name, requirement in declared.items():
        assert requirement.specifier.contains(pinned[name]), name


def test_the_readme_names_the_versions_that_are_declared(declared: dict[str, Requirement]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"It wants (.*?) or later \((.*?)\): pip", text.replace("\n", " "))
    bounds = {">=": said[0], "<": said[1].replace(" before", "")}
    for operator, words in bounds.items():
        versions = dict(re.findall(r"([\w-]+) ([\d.]+)", words))
        assert {"mergekit", "lm-eval"} <= versions.keys()
        for name, version in versions.items():
            assert f"{operator}{version}" in str(declared[name].specifier).split(","), name
