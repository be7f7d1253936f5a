"""An attribution that several processes share: the bytes of one, however late one of them comes or reads.

Threads take the place of processes: the late one waits for what the other has done, never for a time.
"""

import threading
from contextlib import ExitStack, contextmanager

import pytest

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE
from sae_merge_method.artifacts.attribution_groups import GROUPS_FILE
from sae_merge_method.attribute import run
from sae_merge_method.attribute.feature_chunks import FeatureChunks
from sae_merge_method.attribute.measure import Measurements
from sae_merge_method.attribute.run import attribute
from sae_merge_method.files.progress import Progress
from sae_merge_method.together.workers import Workers
from tests.attribute.conftest import settings

SIZE, PATIENCE = 2, 600


class Pair:
    """Two on one attribution, of whom the second can be made to wait until the first was heard."""

    def __init__(self, monkeypatch):
        self._patch, self._of_thread, self._heard = monkeypatch, threading.local(), threading.Event()
        self._barrier, self._is_done = threading.Barrier(SIZE, timeout=PATIENCE), False
        pair, open_edited, loading = self, run.open_edited, threading.Lock()

        class Together(Workers):
            def wait(self):
                if self.is_first and pair._is_done:
                    pair._heard.set()
                pair._barrier.wait()

        @contextmanager
        def join():
            yield Together(self._of_thread.rank, SIZE, self._of_thread.rank)

        @contextmanager
        def open_in_turn(*args, **kwargs):
            with ExitStack() as stack:
                with loading:  # of two at once one would leave behind how transformers patches itself
                    edited = stack.enter_context(open_edited(*args, **kwargs))
                yield edited

        monkeypatch.setattr(run, "join_workers", join)
        monkeypatch.setattr(run, "open_edited", open_in_turn)

    def heard_after(self, where, name):
        """The first is heard once it has called this."""
        self._around(where, name, after=lambda rank: rank or self._heard.set())

    def heard_at_the_end(self):
        """The first is heard once it has its attribution, and waits or forgets what was kept."""
        self._around(run, "_attributed", after=lambda rank: rank or setattr(self, "_is_done", True))
        self.heard_after(Progress, "discard")

    def late(self, where, name):
        """The second calls this when the first was heard."""
        self._around(where, name, before=lambda rank: rank and self._heard.wait(PATIENCE))

    def _around(self, where, name, before=lambda rank: None, after=lambda rank: None):
        original = getattr(where, name)

        def called(*args, **kwargs):
            before(self._of_thread.rank)
            result = original(*args, **kwargs)
            after(self._of_thread.rank)
            return result

        self._patch.setattr(where, name, called)

    def attribute(self, asked, out):
        """What each of them returns."""
        results, failures = [], []

        def work(rank):
            self._of_thread.rank = rank
            try:
                results.append(attribute(asked, out))
            except BaseException as error:
                failures.append(error)
                self._barrier.abort()
                self._heard.set()

        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(SIZE)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert not failures
        return results


@pytest.fixture
def pair(monkeypatch):
    return Pair(monkeypatch)


@pytest.fixture(scope="module")
def alone(ground, planted, tmp_path_factory):
    """By one process, with an SAE in every layer."""
    asked, out = settings(ground, planted, sae="none", probe=True), tmp_path_factory.mktemp("alone") / "out"
    return asked, out, attribute(asked, out)


def same_as_alone(pair, alone, out):
    asked, by_one, attribution = alone
    return pair.attribute(asked, out) == [attribution] * SIZE and all(
        (out / name).read_bytes() == (by_one / name).read_bytes() for name in (ATTRIBUTION_FILE, GROUPS_FILE)
    )


def test_who_comes_when_the_other_has_measured_does_its_own_share_all_the_same(pair, alone, tmp_path):
    pair.late(run, "_foretell")
    pair.heard_after(Measurements, "_keep")
    assert same_as_alone(pair, alone, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_who_comes_when_the_other_has_encoded_a_chunk_encodes_its_own_share_all_the_same(
    pair, alone, tmp_path
):
    pair.late(FeatureChunks, "encode")
    pair.heard_after(FeatureChunks, "_keep")
    assert same_as_alone(pair, alone, tmp_path / "out")


def test_what_is_kept_is_there_until_the_slowest_has_read_it(pair, alone, tmp_path):
    pair.late(run, "sum_features")
    pair.heard_at_the_end()
    assert same_as_alone(pair, alone, tmp_path / "out")


def test_each_of_two_measures_some_and_none_measures_what_stands(pair, alone, tmp_path, monkeypatch):
    asked, measured, original = alone[0], [], Measurements._measure
    monkeypatch.setattr(
        Measurements,
        "_measure",
        lambda self, point, advance: (
            measured.append((self._workers.rank, point)) or original(self, point, advance)
        ),
    )
    pair.attribute(asked, tmp_path / "out")
    assert len({point for _, point in measured}) == len(measured)
    assert min([rank for rank, _ in measured].count(rank) for rank in range(SIZE)) > len(measured) / 4
