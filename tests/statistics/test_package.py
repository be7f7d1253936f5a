"""What holds of the whole package."""

import ast
from pathlib import Path

import pytest

from sae_merge_method import statistics

FILES = sorted(Path(statistics.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_statistics_know_nothing_of_the_house_but_each_other_and_its_errors(file: Path) -> None:
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    own = [str(node.module) for node in nodes if str(node.module).startswith("sae_merge_method")]
    assert [
        name
        for name in own
        if not name.startswith(("sae_merge_method.statistics.", "sae_merge_method.errors"))
    ] == []
