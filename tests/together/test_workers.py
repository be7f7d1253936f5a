import pytest
import torch

from sae_merge_method.errors import UsageError
from sae_merge_method.together.workers import Workers, is_first_process


def test_each_process_takes_a_gpu_of_its_own_and_only_a_single_one_takes_them_all() -> None:
    assert Workers(1, 2, 1).device("cuda") == "cuda:1"
    assert Workers(0, 1, 0).device("cuda") == "cuda"
    assert Workers(0, 1, 0).device("cpu", "auto") is None
    with pytest.raises(UsageError, match="start only one"):
        Workers(0, 2, 0).device("cuda", "auto")


def test_several_processes_that_take_the_best_there_is_take_a_gpu_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [Workers(rank, 2, rank).device("auto") for rank in range(2)] == ["cuda:0", "cuda:1"]


def test_the_first_process_is_told_by_the_launchers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert is_first_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()


def test_every_piece_is_done_by_one_process() -> None:
    pieces = range(7)
    shares = [Workers(rank, 3, rank).share_of(pieces) for rank in range(3)]
    assert sorted(piece for share in shares for piece in share) == list(pieces)
    assert [len(share) for share in shares] == [3, 2, 2]
