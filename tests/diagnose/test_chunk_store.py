"""Killed, resumed, split into sweeps or between processes: always the same bytes."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from sae_merge_method.corpora.twins import TWINS
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files import stamps
from tests.diagnose import hosts
from tests.diagnose.command import ARTIFACTS, diagnose
from tests.warm import process_behind

SMALL = (
    "--batch-tokens", "40", "--mask", "punctuation,template", "--permutations", "20", "--bootstrap", "20",
)  # fmt: skip


@pytest.fixture(scope="module")
def maths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few(tmp_path_factory, "maths", hosts.MATHS, 0)


@pytest.fixture(scope="module")
def prose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few(tmp_path_factory, "prose", hosts.PROSE, 1)


@pytest.fixture(scope="module")
def more_maths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few(tmp_path_factory, "more_maths", hosts.MATHS, 2)


def few(factory: pytest.TempPathFactory, name: str, words: Sequence[str], seed: int) -> Path:
    """As few documents as make chunks enough: nothing is to be learned from them here."""
    return hosts.write_jsonl(factory.mktemp("few") / f"{name}.jsonl", hosts.sentences(words, 12, seed))


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, gemma3: Path, random_saes: str, maths: Path, prose: Path
) -> Path:
    """What one uninterrupted process writes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    diagnose(out, gemma3, random_saes, maths, prose, *SMALL)
    return out


def assert_same(out: Path, whole: Path) -> None:
    assert sorted(path.name for path in out.iterdir()) == ARTIFACTS
    for name in ARTIFACTS:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (out.parent / f".{out.name}.progress").exists()


def arguments(out: Path, *parts: object) -> list[str]:
    names = ("--model", "--sae", "--target", "--control")
    given = [str(part) for pair in zip(names, parts, strict=True) for part in pair]
    return ["diagnose", *given, "--out", str(out), *SMALL]


def chunks_in(progress: Path) -> list[Path]:
    """What is kept there; nothing, where the run ends and takes it away while we look."""
    with suppress(FileNotFoundError):
        return list(progress.rglob("chunk-*"))
    return []


def test_layers_encoded_one_by_one_are_encoded_the_same(
    tmp_path: Path, whole: Path, gemma3: Path, random_saes: str, maths: Path, prose: Path
) -> None:
    result = diagnose(tmp_path / "out", gemma3, random_saes, maths, prose, *SMALL, "--memory", "1K")
    assert "4 layers" in result.stderr
    assert "in 4 sweeps" in result.stderr
    assert_same(tmp_path / "out", whole)


def test_killed_at_any_moment_and_run_again_it_writes_the_same_bytes(
    tmp_path: Path,
    whole: Path,
    gemma3: Path,
    random_saes: str,
    maths: Path,
    prose: Path,
    warm_python: Path,
) -> None:
    out = tmp_path / "out"
    progress = tmp_path / ".out.progress"
    command = [str(warm_python), "-m", "sae_merge_method.cli.main"]
    process = subprocess.Popen(
        [*command, *arguments(out, gemma3, random_saes, maths, prose)], stderr=subprocess.DEVNULL, text=True
    )
    while process.poll() is None and len(chunks_in(progress)) < 3:
        time.sleep(0.002)
    if process.poll() is None:
        with suppress(ProcessLookupError):  # it may have come to its end
            os.kill(process_behind(process.pid), signal.SIGKILL)
    process.wait()
    diagnose(out, gemma3, random_saes, maths, prose, *SMALL, "--overwrite")
    assert_same(out, whole)


class Killed(BaseException):
    pass


def interrupt(
    monkeypatch: pytest.MonkeyPatch, out: Path, chunks: int, *inputs: object, more: tuple[str, ...] = ()
) -> None:
    """Run, and stop dead after some chunks are kept."""
    from sae_merge_method.diagnose.chunk_store import ChunkStore

    save = ChunkStore.save
    saved = []

    def save_then_die(*args: object) -> None:
        if len(saved) == chunks:
            raise Killed
        saved.append(args)
        save(*args)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ChunkStore, "save", save_then_die)
        diagnose(out, *inputs, *SMALL, *more)


@pytest.mark.parametrize("chunks", [1, 5, 13])
def test_what_was_encoded_is_not_encoded_again(
    tmp_path: Path,
    whole: Path,
    gemma3: Path,
    random_saes: str,
    maths: Path,
    prose: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunks: int,
) -> None:
    out = tmp_path / "out"
    interrupt(monkeypatch, out, chunks, gemma3, random_saes, maths, prose)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("chunk-*")}
    assert len(kept) == chunks
    # Interrupted once more, with less memory: files that were there stay untouched.
    interrupt(monkeypatch, out, 2, gemma3, random_saes, maths, prose, more=("--memory", "1K"))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(tmp_path.rglob("chunk-*"))) == chunks + 2
    diagnose(out, gemma3, random_saes, maths, prose, *SMALL)
    assert_same(out, whole)


def test_a_changed_setting_refuses_to_resume_and_says_which(
    tmp_path: Path,
    gemma3: Path,
    random_saes: str,
    maths: Path,
    prose: Path,
    more_maths: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    interrupt(monkeypatch, out, 2, gemma3, random_saes, maths, prose)
    with pytest.raises(UsageError, match="max_length: 1024 before, 5 now"):
        diagnose(out, gemma3, random_saes, maths, prose, *SMALL, "--max-length", "5")
    with pytest.raises(UsageError, match=r"target: .*maths.jsonl before, .*more_maths.jsonl now"):
        diagnose(out, gemma3, random_saes, more_maths, prose, *SMALL)
    with monkeypatch.context() as patch, pytest.raises(UsageError, match="packages: sae-lens .* 9.9 now"):
        patch.setattr(stamps, "version", lambda package: "9.9")
        diagnose(out, gemma3, random_saes, maths, prose, *SMALL)
    # What comes after encoding may change.
    diagnose(out, gemma3, random_saes, maths, prose, *SMALL, "--score", "js_bits", "--seed", "3")


def test_documents_that_are_encoded_otherwise_are_not_joined_with_what_was_kept_of_others(
    tmp_path: Path, gemma3: Path, random_saes: str, maths: Path, prose: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command, by a version that makes other twins of the same texts."""
    out = tmp_path / "out"
    interrupt(monkeypatch, out, 2, gemma3, random_saes, maths, prose)
    with monkeypatch.context() as patch, pytest.raises(UsageError, match="documents as they are encoded"):
        patch.setitem(TWINS, "words", TWINS["digits"]._replace(name="words"))
        diagnose(out, gemma3, random_saes, maths, prose, *SMALL)
    diagnose(out, gemma3, random_saes, maths, prose, *SMALL)


def test_a_damaged_chunk_is_refused_by_name(
    tmp_path: Path, gemma3: Path, random_saes: str, maths: Path, prose: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    interrupt(monkeypatch, out, 2, gemma3, random_saes, maths, prose)
    next(tmp_path.rglob("chunk-*")).write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match=r"chunk-\d+.safetensors is damaged"):
        diagnose(out, gemma3, random_saes, maths, prose, *SMALL)


def test_two_processes_write_what_one_writes(
    tmp_path: Path,
    whole: Path,
    gemma3: Path,
    random_saes: str,
    maths: Path,
    prose: Path,
    warm_python: Path,
) -> None:
    out = tmp_path / "out"
    launcher = [str(warm_python), "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run(
        [*launcher, "-m", "sae_merge_method.cli.main", *arguments(out, gemma3, random_saes, maths, prose)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    parts = done.stdout.split("\n\n")  # layers, two sentences, surface, corpora
    assert [len(part.splitlines()) for part in parts] == [5, 1, 1, 5, 3]
    assert_same(out, whole)
