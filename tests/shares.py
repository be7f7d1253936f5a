"""How a test run is shared out to pytest-xdist's processes: what is begun first, and what stays together.

A fixture lives in the process that made it. Tests of one file stay in one process by ``--dist loadfile``; here
whole folders do whose files read one costly thing, so that it is made once and not once a process.
"""

import pytest
from xdist.scheduler import LoadFileScheduling

TOGETHER = (
    "tests/attribute/",
    "tests/experiment/test_",
    "tests/notebooks/",
    "tests/packaging/",
    "tests/publish/",
    "tests/tune/",
)
"""Folders of one ground and one result of it: a finished experiment, a tour that was run, an installed wheel."""

LONGEST_FIRST = (
    "tests/miniature/test_demo.py",
    "tests/experiment/test_",
    "tests/packaging/",
    "tests/tune/",
    "tests/notebooks/",
    "tests/docs/test_walk.py",
    "tests/attribute/",
    "tests/publish/",
    "tests/lm_eval_tasks/",
    "tests/diagnose/test_chunk_store.py",
    "tests/layouts/",
    "tests/train_saes/",
    "tests/merge/test_mergekit_engine.py",
    "tests/test_door.py",
)
"""Where the longest tests are: begun first, they leave no process of a test run alone with one at the end."""


def rank(item: pytest.Item) -> int:
    """The lower, the earlier."""
    ranks = [nth for nth, start in enumerate(LONGEST_FIRST) if item.nodeid.startswith(start)]
    return min(ranks, default=len(LONGEST_FIRST))


class InShares(LoadFileScheduling):
    """Files, and the folders that stay together, go to processes one after another as these come free."""

    def _split_scope(self, nodeid: str) -> str:
        folder = next((folder for folder in TOGETHER if nodeid.startswith(folder)), None)
        return folder or super()._split_scope(nodeid)
