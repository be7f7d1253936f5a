"""``sae-merge demo``: the whole road on the miniature, by the commands a user would type."""

import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from sae_merge_method.errors import SaeMergeError, UsageError
from sae_merge_method.files.cache import SEAL, cache_root
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.lock import locked
from sae_merge_method.files.writing import canonical_json, write_text
from sae_merge_method.miniature.build import Miniature, build
from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.recipes import ready_file

logger = logging.getLogger(__name__)


class CommandError(SaeMergeError):
    """A command that the demo ran ended with a failure, or is not installed."""


def run_command(folder: Path, words: Sequence[str]) -> None:
    """Run one command to its end; what it prints goes where our own output goes.

    Args:
        folder: Its working folder.
        words: The command, taken from beside this Python, and its arguments.

    Raises:
        CommandError: It failed, and has said why.
    """
    shown = shlex.join(words)
    logger.info("$ %s", shown)
    done = subprocess.run(
        [_script(words[0]), *words[1:]],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"a command failed with exit code {done.returncode} in {folder}:\n  {shown}")


def _environment(folder: Path) -> dict[str, str]:
    return {
        # One thread a process is fastest here, and the same bits everywhere.
        **{"OMP_NUM_THREADS": "1", **os.environ},
        # Nothing here needs the network, and nothing may reach for it.
        "HF_HUB_OFFLINE": "1",
        # Beside the data set it is made from: the user's own cache stays as it is.
        "HF_DATASETS_CACHE": str(folder.resolve() / ".datasets"),
    }


def _script(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    for path in (beside, beside.with_suffix(".exe")):
        if path.is_file():
            return str(path)
    raise CommandError(f"expected the command {name} beside {sys.executable}: reinstall the package")


MARK_FILE = "miniature.json"
"""In a demo's folder: the settings it was made with."""
SETTINGS_FILE = "experiment.yml"
TUNE_FILE = "tune.yml"
EXPERIMENT_FOLDER = "experiment"

OF_A_MINIATURE = (
    "One miniature and one seed: this shows that the software works end to end, and is no evidence "
    "about models of real size. Another machine trains another miniature from the same seed: with other "
    "scores, other layers picked, other answers (--seeds 5, with another --out, counts those of five seeds). "
    "This base can calculate but has read careless solutions, the donor careful ones: the edit draws out "
    "what the base knows and adds no knowledge."
)

# Most of an arm's time here is one core's, so two at a time fill two cores.
_WORKERS = 2


@dataclass(frozen=True)
class Demo:
    """What a demo took."""

    made: tuple[str, ...]
    """Parts of the miniature that were not in the cache."""
    training_seconds: float
    experiment_seconds: float


def run_demo(
    settings: MiniatureSettings, out: Path, *, overwrite: bool = False, options: tuple[str, ...] = ()
) -> Demo:
    """Make or take a miniature, and run its experiment in ``out``; the experiment prints its table.

    Args:
        settings: Of the miniature.
        out: Folder of the demo; one that stands with the same settings is gone on with.
        overwrite: Whether to start a standing demo from the beginning.
        options: More options of ``sae-merge experiment run``.

    Raises:
        UsageError: ``out`` holds something else.
        InUseError: Another process is at work there.
        CommandError: The experiment failed.
    """
    start = monotonic()
    miniature = make_miniature(out, settings, overwrite=overwrite)
    built = monotonic()
    words = ["sae-merge", "experiment", "run", SETTINGS_FILE, "--out", EXPERIMENT_FOLDER]
    with locked(out):
        _check_place(settings, out, overwrite=False)
        run_command(out, [*words, "--workers", str(_WORKERS), *options])
    return Demo(miniature.made, built - start, monotonic() - built)


def make_miniature(
    out: str | Path, settings: MiniatureSettings | None = None, *, overwrite: bool = False
) -> Miniature:
    """Make a folder with all that an experiment on the miniature needs.

    Base, donor and SAEs, texts, held-out problems where lm-eval finds them, and settings of an experiment and
    of tune.

    Trained the first time, some minutes on two cores; from then on taken from the user's cache.

    Args:
        out: The folder; one that was made with the same settings stays as it is.
        settings: Of the miniature; None for the demo's own.
        overwrite: Whether to make a standing folder anew.

    Returns:
        Where the parts lie in the cache, and which of them had to be trained.

    Raises:
        UsageError: ``out`` holds something else.
    """
    folder, settings = Path(out), settings or MiniatureSettings()
    _check_place(settings, folder, overwrite)
    cache = cache_root() / "miniature"
    if (folder / MARK_FILE).exists() and not overwrite:
        return build(settings, cache)
    with new_folder(folder, overwrite=overwrite) as new:
        miniature = build(settings, cache)
        _lay_out(settings, miniature, new)
    return miniature


def _check_place(settings: MiniatureSettings, out: Path, overwrite: bool) -> None:
    """Refuse, before anything is trained, a folder that is not this demo's."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    mark = out / MARK_FILE
    if not mark.is_file():
        raise UsageError(f"expected a new folder or a demo's at {out}, found something else: name another")
    if not overwrite and mark.read_text(encoding="utf-8") != _mark(settings):
        raise UsageError(f"{out} holds a demo of other settings: name another folder or pass --overwrite")


def _lay_out(settings: MiniatureSettings, miniature: Miniature, folder: Path) -> None:
    _copy_entry(miniature.texts, folder)
    for name, source in (("base", miniature.base), ("donor", miniature.donor), ("saes", miniature.saes)):
        _copy_entry(source, folder / name)
    write_text(folder / SETTINGS_FILE, ready_file("experiment/miniature").text)
    write_text(folder / TUNE_FILE, ready_file("tune/miniature").text)
    write_text(folder / MARK_FILE, _mark(settings))


def _mark(settings: MiniatureSettings) -> str:
    return canonical_json(settings.model_dump())


def _copy_entry(source: Path, folder: Path) -> None:
    """Copy out of the cache, without the seal."""
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SEAL))
