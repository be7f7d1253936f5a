"""The notebooks, each run once on a miniature of a few thousand tokens."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.notebooks import execute

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "notebooks" / "tour.ipynb"
QWEN = ROOT / "notebooks" / "qwen.ipynb"


class Ran(NamedTuple):
    """A notebook that was run."""

    displays: list[dict[str, str]]
    """What each code cell displays."""
    folder: Path
    """Where it was run."""

    def shown(self, notebook: Path, call: str) -> dict[str, str]:
        """The display of the cell in which ``call`` stands."""
        cells = execute.code_cells(notebook)
        (nth,) = [nth for nth, cell in enumerate(cells) if call in "".join(cell["source"])]
        return self.displays[nth]


@pytest.fixture(scope="session")
def run_notebook(
    tiny_cache: Path, tiny_miniature: Any, warm_python: Path
) -> Callable[[Path, Path, str], Ran]:
    """Run a notebook in a folder, with a statement behind its parameters."""

    def run(notebook: Path, folder: Path, parameters: str) -> Ran:
        words = [str(warm_python), execute.__file__, str(notebook), "displays.json", parameters]
        # A process of its own: a notebook sets environment and working folder, as its reader's would.
        environ = {
            **os.environ,
            "XDG_CACHE_HOME": str(tiny_cache),
            "HF_DATASETS_CACHE": str(folder / ".datasets"),
        }
        done = subprocess.run(words, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        return Ran(json.loads((folder / "displays.json").read_text()), folder)

    return run


@pytest.fixture(scope="session")
def tour(tmp_path_factory, tiny_settings, run_notebook):
    """What each code cell displays, and the folder it was all made in."""
    # Who has learned nothing never ends an answer, and each token takes time.
    parameters = (
        f"miniature = sm.MiniatureSettings(**{tiny_settings.model_dump()}); answers = {{'max_gen_toks': 4}}"
    )
    ran = run_notebook(TOUR, tmp_path_factory.mktemp("tour"), parameters)
    return ran.displays, ran.folder / "tour"


@pytest.fixture(scope="session")
def qwen(tmp_path_factory, tiny_settings, tiny_cache, tiny_miniature, run_notebook):
    """The notebook for a free GPU, with the miniature in its model's place."""
    from sae_merge_method.miniature import demo

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tiny_cache))
        folder = tmp_path_factory.mktemp("qwen") / "miniature"
        demo.make_miniature(folder, tiny_settings)
    parameters = """
base, donor = "./base", "./donor"
sae, sae_id = "saes", None
device, dtype = "cpu", "float32"
target, control = "target.jsonl", "control.jsonl"
documents, resamples, rule, problems = 12, 20, "top_k=2", 1
answers = {"num_fewshot": 0, "batch_size": 150, "gen_kwargs": {"max_gen_toks": 4}}
"""
    return run_notebook(QWEN, folder, parameters)
