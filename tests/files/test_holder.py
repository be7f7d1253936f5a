"""Who holds a lock, and what whoever is refused is told: nothing that would destroy."""

import os
import socket

import pytest

from sae_merge_method.files.holder import Holder, read_holder, this_process

DEAD = 4_194_305  # one more than Linux ever gives to a process


def test_this_process_is_here_lives_and_is_waited_for(tmp_path):
    ourselves = this_process()
    assert ourselves.pid == os.getpid() and ourselves.is_here and ourselves.lives
    assert ourselves.advice(tmp_path / "lock").endswith("wait for it, or end it")


@pytest.mark.parametrize("is_here", [True, False])
def test_of_who_is_gone_or_elsewhere_the_lock_alone_may_be_removed(tmp_path, is_here):
    host, pid = (socket.gethostname(), DEAD) if is_here else ("node17", os.getpid())
    advice = Holder(host, pid, "yesterday", "sae-merge merge").advice(tmp_path / "lock")
    assert f"known to be gone, remove {tmp_path / 'lock'} and nothing else" in advice
    assert ("on node17" in advice) == (host == "node17")


def test_a_number_that_no_process_can_have_is_of_none(tmp_path):
    assert not Holder(socket.gethostname(), 10**30, "", "").lives


@pytest.mark.parametrize("written", [b"", b"\xff\xfe", b"[]", b"{}", b'{"host": "a", "pid": "many"}'])
def test_what_says_nothing_is_of_an_unknown_machine(tmp_path, written):
    (tmp_path / "lock").write_bytes(written)
    handle = os.open(tmp_path / "lock", os.O_RDONLY)
    assert read_holder(handle).host == "an unknown machine"
    os.close(handle)
