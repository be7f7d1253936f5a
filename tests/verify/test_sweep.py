"""A checkpoint read once: every tensor's hash, and by which readings of the recipe it is what it must be."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from sae_merge_method.files.hashing import Hasher
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.recipe.precision import AS_STORED, Precision
from sae_merge_method.verify.expected import Expected
from sae_merge_method.verify.rounding import Reading
from sae_merge_method.verify.streams import Streams
from sae_merge_method.verify.sweep import Seen, sweep
from tests import tiny
from tests.merged import Merged
from tests.verify.conftest import CLOSED, Q_PROJ, flip_one_bit, rewrite

ONCE = Reading("rounded once", AS_STORED)
NARROWED = Reading("inputs rounded to bfloat16 first", Precision("bfloat16", "bfloat16"))


def swept(
    merged: Checkpoint, others: tuple[Checkpoint, ...], expected: Mapping[str, Expected], *readings: Reading
) -> dict[str, Seen]:
    done: list[int] = []
    with Streams([merged, *others]) as streams:
        seen = sweep(merged, expected, readings or (ONCE,), streams, done.append)
    assert sum(done) == sum(entry.nbytes for entry in merged.tensors.values())
    return seen


def xxh3(model: Checkpoint, name: str) -> str:
    hasher = Hasher(with_sha256=False)
    hasher.update(memoryview(tiny.load_tensors(model.folder)[name].numpy()).cast("B"))
    return hasher.hashes().xxh3


@pytest.fixture(scope="module")
def models(merged: Merged) -> tuple[Checkpoint, Checkpoint, Checkpoint]:
    """Of a merge at weight 0.5: what came of it, its base, its donor."""
    out, base, donor = map(open_checkpoint, (merged.out, merged.base, merged.donor))
    return out, base, donor


def test_a_tensor_of_which_nothing_is_known_is_hashed_and_no_more(models) -> None:
    out, *_ = models
    seen = swept(out, (), {})
    assert seen.keys() == out.tensors.keys()
    assert all(one == Seen(one.hashes) and one.hashes.xxh3 == xxh3(out, name) for name, one in seen.items())


def test_a_kept_tensor_is_the_bases_or_fits_no_reading(models, merged: Merged, tmp_path: Path) -> None:
    out, base, _ = models
    expected = {CLOSED: Expected(base.tensors[CLOSED])}
    assert swept(out, (base,), expected)[CLOSED] == Seen(
        swept(out, (), {})[CLOSED].hashes, (ONCE,), xxh3(base, CLOSED)
    )
    damaged = open_checkpoint(rewrite(merged.copy(tmp_path / "out"), flip_one_bit(CLOSED)))
    seen = swept(damaged, (base,), expected)[CLOSED]
    assert seen.fitting == () and seen.base_xxh3 == xxh3(base, CLOSED) != seen.hashes.xxh3


def test_an_edited_tensor_fits_the_weight_that_it_was_given_alone(models) -> None:
    out, base, donor = models
    for alpha, fitting in ((0.5, (ONCE,)), (0.4, ())):
        expected = Expected(base.tensors[Q_PROJ], (donor.tensors[Q_PROJ],), (alpha,))
        seen = swept(out, (base, donor), {Q_PROJ: expected})[Q_PROJ]
        assert seen.fitting == fitting
        assert (seen.base_xxh3, seen.donors_xxh3) == (xxh3(base, Q_PROJ), (xxh3(donor, Q_PROJ),))


def test_of_several_readings_those_that_fit_are_told(models) -> None:
    out, base, donor = models
    expected = {
        Q_PROJ: Expected(base.tensors[Q_PROJ], (donor.tensors[Q_PROJ],), (0.5,)),
        CLOSED: Expected(base.tensors[CLOSED]),
    }
    seen = swept(out, (base, donor), expected, ONCE, NARROWED)
    assert seen[Q_PROJ].fitting == seen[CLOSED].fitting == (ONCE,)


def test_sha256_is_taken_of_the_tensors_that_are_named(models) -> None:
    out, *_ = models
    with Streams([out]) as streams:
        seen = sweep(out, {}, (ONCE,), streams, lambda size: None, with_sha256={Q_PROJ})
    assert [name for name, one in seen.items() if one.hashes.sha256 is not None] == [Q_PROJ]
