"""What pyproject.toml cannot say: the packages, found rather than listed, and the start-up hook's two files.

A package forgotten in a list vanishes from the wheel without a word, so there is no list.
"""

import shutil
from pathlib import Path

from setuptools import Command, find_packages, setup
from setuptools.command.build import build

NAME = "sae_merge_method"
# Top-level folders of the tree that are installed as sub-packages: one import name in all.
MAPPED = ("cli", "lm_eval_tasks", "recipes")
HOOK_FILES = ("sae_merge_method.pth", "sae_merge_method.start")


class BuildHook(Command):
    """Puts the hook's files where the interpreter looks for them: beside the package, not in it."""

    editable_mode = False
    build_lib = ""

    def initialize_options(self) -> None:
        """Nothing of our own to initialise."""

    def finalize_options(self) -> None:
        """Take the folder that becomes site-packages.

        An editable wheel has nothing in the build folder: its root is the folder to install to.
        """
        owner, option = ("install", "install_lib") if self.editable_mode else ("build_py", "build_lib")
        self.build_lib = getattr(self.get_finalized_command(owner), option)

    def run(self) -> None:
        """Copy the files as they are."""
        Path(self.build_lib).mkdir(parents=True, exist_ok=True)
        for name in HOOK_FILES:
            shutil.copyfile(name, Path(self.build_lib, name))

    def get_source_files(self) -> list[str]:
        """What the sdist must hold for this."""
        return list(HOOK_FILES)

    def get_outputs(self) -> list[str]:
        """Where the files end up."""
        return [str(Path(self.build_lib, name)) for name in HOOK_FILES]

    def get_output_mapping(self) -> dict[str, str]:
        """Output -> source."""
        return dict(zip(self.get_outputs(), HOOK_FILES, strict=True))


def packages() -> list[str]:
    """Every folder with an ``__init__.py``, under its installed name."""
    names = find_packages(include=[NAME, f"{NAME}.*"])
    for folder in MAPPED:
        names += [f"{NAME}.{folder}", *(f"{NAME}.{folder}.{inner}" for inner in find_packages(folder))]
    return names


build.sub_commands = [*build.sub_commands, ("build_hook", None)]

setup(
    packages=packages(),
    package_dir={f"{NAME}.{folder}": folder for folder in MAPPED},
    cmdclass={"build_hook": BuildHook},
)
