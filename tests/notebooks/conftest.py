"""The tour, run once on a miniature of a few thousand tokens."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.notebooks import execute

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "notebooks" / "tour.ipynb"


@pytest.fixture(scope="session")
def tour(tmp_path_factory, tiny_settings, tiny_cache, tiny_miniature, warm_python):
    """What each code cell displays, and the folder it was all made in."""
    folder = tmp_path_factory.mktemp("tour")
    words = [
        str(warm_python),
        execute.__file__,
        str(TOUR),
        "displays.json",
        # Who has learned nothing never ends an answer, and each token takes time.
        f"miniature = sm.MiniatureSettings(**{tiny_settings.model_dump()}); answers = {{'max_gen_toks': 4}}",
    ]
    # A process of its own: the notebook sets environment and working folder, as its reader's would.
    environ = {**os.environ, "XDG_CACHE_HOME": str(tiny_cache)}
    done = subprocess.run(words, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "displays.json").read_text()), folder / "tour"
