"""``sae-merge doctor``: silent about what is well, and a cure for each thing that is not."""

import importlib.metadata
import subprocess
from pathlib import Path

from tests import warm
from tests.packaging.conftest import Built
from tests.packaging.environment import Environment, clean_environ

PROBLEMS = (
    "outside the range this was made for, <0.2,>=0.1.5",
    "sae_merge_method.start missing in site-packages",
    "a_file",
    "OSError: disk on fire",
    "half an lm_eval",
)


def doctor(environment: Environment, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the command's own script; it and the interpreters that it starts have the libraries loaded ahead."""
    python = warm.python(folder / "warm", "libraries", str(environment.python), warm_children=True)
    (folder / "empty").mkdir()
    return subprocess.run(
        [str(python), str(environment.script("sae-merge")), "doctor"],
        cwd=folder / "empty", env=clean_environ() | environ, capture_output=True, text=True,
    )  # fmt: skip


def test_a_fresh_installation_is_well(installed: Environment, tmp_path: Path) -> None:
    done = doctor(installed, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert "problem" not in said
    assert "All is well." in said
    assert f"torch              {importlib.metadata.version('torch')}\n" in said
    assert "seen by mergekit   sae_scalpel, sae_stethoscope" in said
    assert "seen by lm-eval    minerva_math_sae, minerva_math_sae_chat" in said
    assert not any((tmp_path / "empty").iterdir())


def test_each_problem_is_named_with_its_cure_and_the_exit_code_is_1(built: Built, tmp_path: Path) -> None:
    environment = Environment.create(tmp_path / "env")
    environment.install(built.wheel)
    (environment.site_packages / "sae_merge_method.start").unlink()
    other = environment.site_packages / "mergekit-0.2.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: mergekit\nVersion: 0.2.0\n")
    (environment.site_packages / "lm_eval.py").write_text("raise ImportError('half an lm_eval')")
    (environment.site_packages / "sae_merge_method" / "hosts" / "register.py").write_text(
        "raise OSError('disk on fire')"
    )
    (tmp_path / "a_file").touch()

    done = doctor(environment, tmp_path, XDG_CACHE_HOME=str(tmp_path / "a_file" / "cache"))

    assert done.returncode == 1
    assert done.stderr == ""
    problems = [line.partition("problem: ")[2] for line in done.stdout.splitlines() if "problem: " in line]
    cures = [line.partition("to mend: ")[2] for line in done.stdout.splitlines() if "to mend: " in line]
    for problem, wanted in zip(problems, PROBLEMS, strict=True):
        assert wanted in problem
    assert len(cures) == len(problems)
    assert all(cures)
    assert "5 problems found" in done.stdout


def test_the_switch_is_reported(installed: Environment, tmp_path: Path) -> None:
    program = (
        "from sae_merge_method.hosts.doctor import hook; found = hook(); print(found.problem, found.mend)"
    )
    said = installed.run("-c", program, cwd=tmp_path, SAE_MERGE_NO_HOOK="1").stdout
    assert "SAE_MERGE_NO_HOOK=1 keeps mergekit-yaml and lm_eval from seeing the plugin" in said
    assert "unset SAE_MERGE_NO_HOOK" in said
