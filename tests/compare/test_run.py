"""``compare`` as the command and a notebook call it."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.comparison import Comparison, ComparisonSet
from sae_merge_method.compare.evaluation import open_evaluations
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.errors import UsageError
from tests.evaluations import BASE, BETTER, NUM_THEORY, WORSE, Write, results


@pytest.fixture
def folders(write: Write) -> list[Path]:
    counts = {"base": BASE, "better": BETTER, "worse": WORSE}
    return [write(name, results(tasks, model_name=f"org/{name}")) for name, tasks in counts.items()]


def test_one_edited_model_gives_a_comparison_and_several_a_set(folders: list[Path]) -> None:
    one = compare(folders[0], folders[1])
    assert isinstance(one, Comparison)
    assert one.comparisons == (one,)
    several = compare(*folders)
    assert isinstance(several, ComparisonSet)
    assert several.comparisons == (one, compare(folders[0], folders[2]))
    assert [comparison.edited.label for comparison in several.comparisons] == ["better", "worse"]


def test_folders_files_texts_and_opened_evaluations_give_the_same(folders: list[Path]) -> None:
    base, edited = folders[:2]
    (file,) = edited.rglob("results_*.json")
    expected = compare(base, edited)
    assert compare(str(base), file) == expected
    assert compare(*open_evaluations([base, edited])) == expected


def test_settings_say_what_is_compared(folders: list[Path]) -> None:
    one = compare(*folders[:2], settings=CompareSettings(tasks=(NUM_THEORY,), alpha=0.01))
    assert isinstance(one, Comparison)
    assert ([subject.task for subject in one.subjects], one.alpha) == ([NUM_THEORY], 0.01)


def test_without_an_edited_model_there_is_nothing_to_compare(folders: list[Path]) -> None:
    with pytest.raises(UsageError, match="one edited model or more"):
        compare(folders[0])


def test_same_runs_same_comparison(folders: list[Path]) -> None:
    assert compare(*folders).model_dump_json() == compare(*folders).model_dump_json()
