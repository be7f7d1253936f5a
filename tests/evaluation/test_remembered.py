"""What lm-eval's functions give for the same arguments is asked of them once, and is theirs."""

import importlib
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import pytest

from sae_merge_method.evaluation import remembered as module
from sae_merge_method.evaluation.remembered import PURE, remembered

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "get_git_commit_hash": (),
    "env.from_string": ("{{question}}?",),
    "is_equiv": ("\\frac{1}{2}", "0.5"),
    "parse_latex": ("\\frac{x}{3}",),
    "parse": ("so $x = \\boxed{\\frac{3}{6}}$.",),
}
MANAGER = SimpleNamespace(load=lambda tasks: {"tasks": tasks})


def host_function(row):
    return attrgetter(row.function)(importlib.import_module(row.module))


@pytest.mark.parametrize(
    "row", [row for row in PURE if row.function in ARGUMENTS], ids=lambda row: row.function
)
def test_a_remembered_value_is_the_hosts_own(row):
    plain, arguments = host_function(row), ARGUMENTS[row.function]
    with remembered(MANAGER) as manager:
        manager.load([])
        first, second = host_function(row)(*arguments), host_function(row)(*arguments)
        assert host_function(row) != plain
        assert first is second
    assert host_function(row) == plain
    if row.function == "env.from_string":
        assert first.render(question="Why") == plain(*arguments).render(question="Why") == "Why?"
    else:
        assert first == plain(*arguments)


def test_another_folder_is_asked_for_its_own_commit(monkeypatch, tmp_path):
    evaluator = importlib.import_module("lm_eval.evaluator")
    monkeypatch.setattr(evaluator, "get_git_commit_hash", lambda: Path.cwd().name)
    said = []
    with remembered(MANAGER) as manager:
        manager.load([])
        for name in ("one", "two", "one"):
            (tmp_path / name).mkdir(exist_ok=True)
            monkeypatch.chdir(tmp_path / name)
            said.append(evaluator.get_git_commit_hash())
    assert said == ["one", "two", "one"]


def test_every_function_is_where_the_table_says():
    assert all(callable(host_function(row)) for row in PURE)


@pytest.fixture
def minerva():
    """The tasks' functions: looked up for each test, for lm-eval imports them anew as it loads its tasks."""
    return importlib.import_module("lm_eval.tasks.minerva_math.utils")


@pytest.fixture
def asked(monkeypatch, minerva):
    """What lm-eval is asked to compare, in place of what it would say."""
    pairs: list[tuple[str, str]] = []
    monkeypatch.setattr(minerva, "is_equiv", lambda first, second: (pairs.append((first, second)), False)[1])
    return pairs


def test_the_same_is_asked_once_in_all_blocks_and_outside_of_them_as_often_as_ever(asked, minerva):
    for _ in range(2):
        with remembered(MANAGER) as manager:
            assert manager.load(["words"]) == {"tasks": ["words"]}
            assert not any(minerva.is_equiv("1", answer) for answer in ("2", "3", "2"))
    assert asked == [("1", "2"), ("1", "3")]
    minerva.is_equiv("1", "2")
    assert asked == [("1", "2"), ("1", "3"), ("1", "2")]


def test_a_value_that_took_long_is_asked_for_again(monkeypatch, asked, minerva):
    monkeypatch.setattr(module, "_IN_TIME", 0.0)
    with remembered(MANAGER) as manager:
        manager.load([])
        minerva.is_equiv("1", "2")
        minerva.is_equiv("1", "2")
    assert asked == [("1", "2"), ("1", "2")]


def test_the_oldest_values_make_room(monkeypatch, asked, minerva):
    monkeypatch.setattr(module, "_MOST", 2)
    with remembered(MANAGER) as manager:
        manager.load([])
        for answer in ("2", "3", "4", "3", "2"):
            minerva.is_equiv("1", answer)
    assert [answer for _, answer in asked] == ["2", "3", "4", "2"]


def test_a_call_that_another_version_makes_otherwise_is_passed_on(monkeypatch, minerva):
    named = []
    monkeypatch.setattr(minerva, "parse", lambda *arguments, **others: named.append((arguments, others)))
    with remembered(MANAGER) as manager:
        manager.load([])
        for _ in range(2):
            minerva.parse("x", parsing_timeout=3)
            minerva.parse(["x"])
    assert named == [(("x",), {"parsing_timeout": 3}), ((["x"],), {})] * 2
