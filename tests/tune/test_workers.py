"""A search that several processes share: the bytes of one, and what each finds of the others' work."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.together.workers import Workers
from sae_merge_method.tune import run
from sae_merge_method.tune.bench import Bench
from sae_merge_method.tune.settings import TuneSettings
from sae_merge_method.tune.store import Store
from tests.tune.planted import Planted
from tests.tune.test_run import FILES

SIZE = 2


class Together(Workers):
    """One of several threads that take the place of processes, and wait as these do."""

    _barrier = threading.Barrier(SIZE, timeout=600)

    def wait(self) -> None:
        self._barrier.wait()


def test_two_processes_share_a_search_and_come_to_the_bytes_of_one(
    planted: Planted, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_thread = threading.local()
    measured: list[list[object]] = [[], []]
    original, open_edited, loading = Bench._nats, run.open_edited, threading.Lock()

    @contextmanager
    def join() -> Iterator[Workers]:
        yield Together(of_thread.rank, SIZE, of_thread.rank)

    @contextmanager
    def open_in_turn(*args: Any, **kwargs: Any) -> Iterator[EditedModel]:
        with ExitStack() as stack:
            # transformers patches itself while it loads a model: of two threads in there at once, one would
            # leave the other's patch behind, and no later model of this process would have its weights tied.
            with loading:
                edited = stack.enter_context(open_edited(*args, **kwargs))
            yield edited

    def counted(self: Bench, side: object) -> list[float]:
        measured[of_thread.rank].append(side)
        return original(self, side)

    monkeypatch.setattr(run, "join_workers", join)
    monkeypatch.setattr(run, "open_edited", open_in_turn)
    monkeypatch.setattr(Bench, "_nats", counted)
    again, results, failures = tmp_path / "again", [], []

    def search(rank: int) -> None:
        of_thread.rank = rank
        try:
            results.append(run.tune(TuneSettings.model_validate(planted.settings), again))
        except BaseException as error:
            failures.append(error)
            Together._barrier.abort()

    threads = [threading.Thread(target=search, args=(rank,)) for rank in range(SIZE)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures and len(results) == SIZE and results[0] == results[1]
    assert [(again / name).read_bytes() for name in FILES] == [(out / name).read_bytes() for name in FILES]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again"]
    assert min(map(len, measured)) > 0.25 * sum(map(len, measured))
    # Little was measured twice: the two sides of each edit, and of what both came across.
    assert sum(map(len, measured)) < 2 * 1.25 * results[0].evaluations


def test_two_processes_that_the_command_starts_print_and_write_what_one_does(
    planted: Planted, printed: Result, out: Path, tmp_path: Path, warm_python: Path
) -> None:
    words = ["tune", str(planted.folder / "tune.yml"), "--out", "tuned", "--workers", "2"]
    command = [str(warm_python), "-m", "sae_merge_method.cli.main", *words]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert [(tmp_path / "tuned" / name).read_bytes() for name in FILES] == [
        (out / name).read_bytes() for name in FILES
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["tuned"]
    assert result.stdout == printed.stdout.replace(str(out), "tuned")
    shown, alone = [
        [line for line in said.splitlines() if ": gain " in line] for said in (result.stderr, printed.stderr)
    ]
    assert shown == alone and len(shown) > 5


def test_a_process_takes_in_what_the_others_kept_and_of_two_figures_all_take_the_same(tmp_path: Path) -> None:
    first, second = Store(tmp_path, 0), Store(tmp_path, 1)
    first.keep("a", [1.0])
    second.keep("a", [2.0])
    second.keep("b", [3.0])
    assert second.find("a") == [2.0] and first.find("b") is None
    first.refresh()
    second.refresh()
    assert [one.find("a") for one in (first, second)] == [[1.0], [1.0]] and first.find("b") == [3.0]


def test_a_line_that_a_kill_cut_short_is_nobody_s_and_its_owner_goes_on_in_its_place(tmp_path: Path) -> None:
    Store(tmp_path, 1).keep("a", 1)
    Store(tmp_path, 1).keep("b", 2)
    file = tmp_path / "measured-1.jsonl"
    file.write_bytes(file.read_bytes()[:-4])
    assert len(Store(tmp_path)) == 1  # with fewer processes than before, too
    owner = Store(tmp_path, 1)
    owner.keep("c", 3)
    assert {key: Store(tmp_path).find(key) for key in "abc"} == {"a": 1, "b": None, "c": 3}


def test_a_process_alone_measures_nothing_ahead(tuned: Tune) -> None:
    def never() -> None:
        raise AssertionError("measured ahead")

    bench = Bench.__new__(Bench)
    bench._workers = Workers(0, 1, 0)
    bench.ahead([never])
    assert tuned.evaluations > 0
