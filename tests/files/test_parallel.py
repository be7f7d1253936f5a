"""Calls on several threads keep their order, and the first failure ends the rest."""

import threading
import time
from concurrent.futures import Future
from functools import partial

import pytest

from sae_merge_method.files.parallel import bytes_bar, run_all


def test_results_come_in_the_order_of_the_calls():
    def after(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    assert run_all([partial(after, seconds) for seconds in (0.03, 0.0, 0.01)], threads=3) == [0.03, 0.0, 0.01]


def test_the_first_failure_is_raised_and_nothing_new_begins(monkeypatch):
    begun, cancelled, all_cancelled = [], [], threading.Event()
    cancel = Future.cancel

    def seen(future: Future) -> bool:
        cancelled.append(cancel(future))
        if len(cancelled) == 101:
            all_cancelled.set()
        return cancelled[-1]

    def fail() -> None:
        raise ValueError("the first")

    def begin() -> None:
        begun.append("a call that had begun when the failure was seen")
        all_cancelled.wait()

    monkeypatch.setattr(Future, "cancel", seen)
    with pytest.raises(ValueError, match="the first"):
        run_all([fail, *[begin] * 100], threads=1)
    assert len(begun) <= 1


def test_any_thread_may_move_the_bar_and_a_quiet_one_shows_nothing(capsys):
    with bytes_bar(400, "counting", quiet=True) as advance:
        threads = [threading.Thread(target=advance, args=(100,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert capsys.readouterr() == ("", "")
