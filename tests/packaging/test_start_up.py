"""The start-up hook in an environment where the wheel is installed: cheap, silent, and harmless."""

import json
import pkgutil
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sae_merge_method import _startup
from tests.packaging.conftest import Built
from tests.packaging.environment import Environment

MODULES = "import sys, json; print(json.dumps(sorted(sys.modules)))"
HOOKED = "import sys; print(any('sae_merge_method' in type(f).__module__ for f in sys.meta_path))"
USE = "from mergekit.merge_methods import registered_methods; print(*registered_methods())"


def test_an_interpreter_start_imports_two_modules_of_ours_and_nothing_for_them(
    installed: Environment, tmp_path: Path
) -> None:
    without = Environment.create(tmp_path / "env")
    ours = json.loads(installed.run("-c", MODULES, cwd=tmp_path).stdout)
    bare = json.loads(without.run("-c", MODULES, cwd=tmp_path).stdout)
    assert set(ours) - set(bare) == {"sae_merge_method", "sae_merge_method._startup"}


@pytest.mark.parametrize(
    ("options", "environ", "hooked"),
    [
        ([], {}, True),
        (["-I"], {}, True),
        (["-E", "-s"], {}, True),
        (["-S"], {}, False),
        ([], {"SAE_MERGE_NO_HOOK": "1"}, False),
        ([], {"SAE_MERGE_NO_HOOK": "0"}, True),
        ([], {"SAE_MERGE_NO_HOOK": ""}, True),
    ],
)
def test_the_hook_is_there_unless_switched_off(
    installed: Environment, tmp_path: Path, options: list[str], environ: dict[str, str], hooked: bool
) -> None:
    done = installed.run(*options, "-c", HOOKED, cwd=tmp_path, **environ)
    assert (done.stdout.strip(), done.stderr) == (str(hooked), "")


def test_installing_the_hook_again_changes_nothing(installed: Environment, tmp_path: Path) -> None:
    again = """
import site, sys
from sae_merge_method import _startup
before = list(sys.meta_path)
_startup.install()
site.main()  # runs every .pth file once more
print(sys.meta_path == before)
"""
    assert installed.run("-c", again, cwd=tmp_path).stdout.strip() == "True"


def test_the_start_file_names_what_the_pth_file_calls(installed: Environment) -> None:
    lines = (installed.site_packages / "sae_merge_method.start").read_text().splitlines()
    (entry,) = [line for line in lines if not line.startswith("#")]  # PEP 829: one "module:callable" a line
    assert pkgutil.resolve_name(entry) is _startup.install


def _without_package(site_packages: Path) -> None:
    shutil.rmtree(site_packages / "sae_merge_method")


def _without_startup(site_packages: Path) -> None:
    (site_packages / "sae_merge_method" / "_startup.py").unlink()


def _with_broken_startup(site_packages: Path) -> None:
    (site_packages / "sae_merge_method" / "_startup.py").write_text("this is no Python")


@pytest.fixture
def own(built: Built, tmp_path: Path) -> Environment:
    """An environment to break: the wheel's content, laid out as installed."""
    environment = Environment.create(tmp_path / "env")
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(environment.site_packages)
    return environment


@pytest.mark.parametrize("damage", [_without_package, _without_startup, _with_broken_startup])
def test_a_half_removed_package_leaves_the_interpreter_silent(
    own: Environment, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(own.site_packages)
    done = own.run("-c", "print('started')", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("started\n", "")


@pytest.mark.parametrize(
    "options", [[], ["-W", "error::RuntimeWarning"]], ids=["warned", "warnings are errors"]
)
def test_a_failure_of_ours_is_one_warning_when_the_host_is_used(
    own: Environment, tmp_path: Path, options: list[str]
) -> None:
    # The host is not what fails here: a small one of the same name will do.
    stand_in = own.site_packages / "mergekit" / "merge_methods"
    stand_in.mkdir(parents=True)
    (stand_in.parent / "__init__.py").touch()
    (stand_in / "__init__.py").write_text("def registered_methods(): return ['task_arithmetic']")
    (own.site_packages / "sae_merge_method" / "hosts" / "register.py").write_text(
        "raise OSError('disk on fire')"
    )
    assert own.run(*options, "-c", "pass", cwd=tmp_path).stderr == ""
    done = own.run(*options, "-c", USE, cwd=tmp_path)
    assert "task_arithmetic" in done.stdout
    assert "sae_stethoscope" not in done.stdout
    assert done.stderr.count("could not join mergekit") == 1
    assert "OSError: disk on fire" in done.stderr
    assert "Traceback" not in done.stderr


def test_uninstalling_leaves_nothing(built: Built, tmp_path: Path) -> None:
    environment = Environment.create(tmp_path / "env")
    before = environment.files()
    environment.install(built.wheel)
    assert "sae_merge_method.pth" in {Path(name).name for name in environment.files() - before}
    environment.pip("uninstall", "--yes", "sae-merge-method")
    assert environment.files() == before


def test_an_editable_installation_has_the_hook_and_uninstalling_it_leaves_nothing(
    tree: Path, tmp_path: Path
) -> None:
    environment = Environment.create(tmp_path / "env")
    before = environment.files()
    source = shutil.copytree(tree, tmp_path / "source")
    environment.pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", str(source))
    assert environment.run("-c", HOOKED, cwd=tmp_path).stdout.strip() == "True"
    located = environment.run(
        "-c", "import sae_merge_method.cli as c; print(c.__file__)", cwd=tmp_path
    ).stdout
    assert Path(located.strip()) == source / "cli" / "__init__.py"
    environment.pip("uninstall", "--yes", "sae-merge-method")
    assert environment.files() == before
