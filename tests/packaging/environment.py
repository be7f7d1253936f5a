"""A clean environment beside the one that runs the tests: its own interpreter and site-packages.

The hosts come from the running environment by a path line, which adds their folder and runs none
of its ``.pth`` files: whatever of ours is seen there was installed there.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

HOSTS = Path(sysconfig.get_path("purelib"))
SCRIPTS = Path(sysconfig.get_path("scripts"))


@dataclass(frozen=True)
class Environment:
    """A virtual environment that shares the hosts, and nothing else, with the running one."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "Environment":
        venv.create(folder, with_pip=False)
        made = cls(folder)
        # Sorts last, so that what is installed in the environment itself comes first.
        (made.site_packages / "zz_hosts.pth").write_text(f"{HOSTS}\n")
        return made

    @property
    def python(self) -> Path:
        return Path(self._path("scripts"), Path(sys.executable).name)

    @property
    def site_packages(self) -> Path:
        return Path(self._path("purelib"))

    def _path(self, name: str) -> str:
        # The layout of the running environment, moved to this folder.
        return sysconfig.get_path(name, vars={"base": str(self.folder), "platbase": str(self.folder)})

    def files(self) -> set[str]:
        """Everything in it, bytecode aside."""
        paths = (path for path in self.folder.rglob("*") if "__pycache__" not in path.parts)
        return {path.relative_to(self.folder).as_posix() for path in paths}

    def pip(self, *arguments: str) -> None:
        """Run the running environment's pip in this one, without network."""
        command = [str(self.python), "-m", "pip", "--disable-pip-version-check", *arguments]
        subprocess.run(command, check=True, capture_output=True, env=clean_environ())

    def install(self, wheel: Path) -> None:
        self.pip("install", "--no-deps", "--no-index", "--no-compile", str(wheel))

    def run(
        self, *arguments: str, cwd: Path, check: bool = True, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the interpreter with ``arguments`` in the folder ``cwd``."""
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env=clean_environ() | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def script(self, name: str) -> Path:
        """A console script, a host's or ours."""
        script = Path(self._path("scripts"), name)
        if not script.exists():
            # A host's own script: the same file, for this interpreter.
            _, _, body = (SCRIPTS / name).read_text().partition("\n")
            script.write_text(f"#!{self.python}\n{body}")
        return script

    def command(self, name: str, *arguments: str, cwd: Path) -> str:
        """Run a console script and return what it prints."""
        return self.run(str(self.script(name)), *arguments, cwd=cwd).stdout


def clean_environ() -> dict[str, str]:
    """The environment variables without what would leak the tree under test, or reach out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SAE_MERGE"))}
    return kept | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
