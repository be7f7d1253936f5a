"""BLAS, and torch, are held to one thread within a block, whoever is inside, and given back as they were."""

from threading import Thread

import pytest
import scipy.linalg  # noqa: F401  (its BLAS is there before any limit is set)
import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

from sae_merge_method.geometry.one_thread import one_blas_thread, one_torch_thread


def threads() -> set[int]:
    return {library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers}


def test_a_block_has_one_thread_and_gives_back_as_many_as_there_were() -> None:
    for many in (2, 3):
        with threadpool_limits(many, user_api="blas"):
            with one_blas_thread():
                assert threads() == {1}
            assert threads() == {many}


def test_a_block_within_a_block_ends_neither_whichever_thread_it_is_in() -> None:
    seen = []

    def inside() -> None:
        with one_blas_thread():
            seen.append(threads())

    with threadpool_limits(2, user_api="blas"):
        with one_blas_thread():
            other = Thread(target=inside)
            other.start()
            other.join()
            assert seen == [{1}] and threads() == {1}
        assert threads() == {2}


def test_libraries_are_gone_through_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with one_blas_thread():
        pass
    monkeypatch.setattr("threadpoolctl.ThreadpoolController", lambda: pytest.fail("gone through again"))
    with one_blas_thread():
        pass
    monkeypatch.undo()
    with threadpool_limits(2, user_api="blas"), one_blas_thread():
        assert threads() == {1}


def test_torch_has_one_thread_too_here_and_in_threads_that_begin_within() -> None:
    seen = []
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_torch_thread():
            other = Thread(target=lambda: seen.append(torch.get_num_threads()))
            other.start()
            other.join()
            assert (torch.get_num_threads(), seen) == (1, [1])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
