"""Documents that repeat one another, word for word or nearly: counted, not removed.

Shuffles and resamples take documents for independent draws of their source. Repeats are not, and make every p
and interval too sure; who knows the sources names them, and nothing here is needed.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.corpora.counting import Ids
from sae_merge_method.corpora.tokens import Document

ALIKE = 0.7
"""Two documents are near duplicates if they share that much of their shingles (Jaccard's index)."""
SHINGLE = 5
"""Tokens of a shingle; a shorter document is one shingle."""

_BANDS, _ROWS = 16, 4
"""64 hashes in 16 bands of 4 propose 99 of 100 pairs that are as alike as ALIKE, and few that are less than
half so; proposed pairs are compared shingle by shingle."""
_AT_ONCE = 1 << 20
"""Numbers that are scrambled at once: of a long text not by all hashes."""
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_ODD = np.uint64(0x9E3779B97F4A7C15)

Hashes = npt.NDArray[np.uint64]


class Repeats(NamedTuple):
    """Which documents say the same as an earlier one."""

    exact: npt.NDArray[np.int64]
    """(N,) the first document with the same counted tokens; a document's own number where it is the first."""
    near: npt.NDArray[np.int64]
    """(N,) the first of all that a chain of near duplicates connects it with; its own number for none."""


def count_repeated(firsts: npt.NDArray[np.int64], sources: npt.NDArray[np.int64]) -> int:
    """How many documents repeat one of another source.

    Args:
        firsts: (N,) what each document says, as numbered in :class:`Repeats`.
        sources: (N,) the source of each; what one source says twice is one draw anyhow.
    """
    _, first, kind = np.unique(firsts, return_index=True, return_inverse=True)
    return int((sources != sources[first][kind]).sum())


def find_repeats(documents: Sequence[Document]) -> Repeats:
    """Find exact and near duplicates among documents, by their counted tokens; always the same ones.

    Near duplicates by MinHash with banding (Broder 1997; Leskovec, Rajaraman & Ullman 2014, chapter 3).
    """
    texts = [document.ids[document.counted] for document in documents]
    first_of: dict[bytes, int] = {}
    exact = np.array([first_of.setdefault(ids.tobytes(), nth) for nth, ids in enumerate(texts)])
    shingles = {nth: shingle_hashes(texts[nth]) for nth in first_of.values()}
    leader = {nth: nth for nth in shingles}

    def find(nth: int) -> int:
        while leader[nth] != nth:
            leader[nth] = nth = leader[leader[nth]]
        return nth

    for bucket in _buckets(shingles):
        # Compared with the first of each kind in the bucket: pairs of many copies would be too many.
        kinds: list[int] = []
        for nth in bucket:
            same = next((kind for kind in kinds if alike(shingles[kind], shingles[nth]) >= ALIKE), None)
            if same is None:
                kinds.append(nth)
            else:
                one, other = sorted((find(same), find(nth)))
                leader[other] = one
    return Repeats(exact, np.array([find(int(nth)) for nth in exact]))


def shingle_hashes(ids: Ids) -> Hashes:
    """The different shingles of a text as 64-bit numbers, ascending; at least one."""
    return np.unique(run_hashes(ids, SHINGLE))


def run_hashes(ids: Ids, width: int) -> Hashes:
    """Each run of ``width`` neighbours as a 64-bit number, in their order; a shorter text is one run."""
    width = min(width, len(ids))
    hashes = np.zeros(len(ids) - width + 1, dtype=np.uint64)
    for offset in range(width):
        hashes = _mixed(hashes + ids[offset : offset + len(hashes)].astype(np.uint64) + _ODD)
    return hashes


def alike(one: Hashes, other: Hashes) -> float:
    """Jaccard's index of two sets of shingles."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def _buckets(shingles: dict[int, Hashes]) -> list[list[int]]:
    """Documents that agree in a band of their signatures, two or more each."""
    salts = _mixed(np.arange(1, _BANDS * _ROWS + 1, dtype=np.uint64) * _ODD)
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    for nth, hashes in shingles.items():
        at_once = np.array_split(salts, min(len(salts), 1 + len(salts) * len(hashes) // _AT_ONCE))
        signature = np.concatenate([_mixed(hashes ^ some[:, None]).min(axis=1) for some in at_once])
        for band, part in enumerate(signature.reshape(_BANDS, _ROWS)):
            buckets[band, part.tobytes()].append(nth)
    return [bucket for bucket in buckets.values() if len(bucket) > 1]


def _mixed(values: Hashes) -> Hashes:
    """Each number scrambled, one to one (splitmix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * _MIX[0]
    values = (values ^ (values >> np.uint64(27))) * _MIX[1]
    return np.asarray(values ^ (values >> np.uint64(31)))
