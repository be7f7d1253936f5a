"""What both models answered: the same problems paired one by one, and what is known beside the score.

Whether the runs can be compared at all is ``comparable``'s question; here answers are only matched and
counted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.lm_eval_model import token_limit
from sae_merge_method.artifacts.lm_eval_results import TaskRun
from sae_merge_method.artifacts.lm_eval_samples import Sample, Samples
from sae_merge_method.artifacts.subject import Measures
from sae_merge_method.errors import ArtifactError


class Pair(NamedTuple):
    """One problem, answered by both."""

    base: Sample
    edited: Sample

    @property
    def scores(self) -> tuple[float, float]:
        """Of the base and of the edited model."""
        return self.base.score, self.edited.score


class Pairing(NamedTuple):
    """Problems that both were given, in the base's order, and what differs between the two sets."""

    pairs: tuple[Pair, ...]
    mismatches: tuple[str, ...]

    @property
    def prompts_known(self) -> bool:
        """Whether there are pairs, and the prompts of each could be held against each other."""
        return bool(self.pairs) and all(side.prompt_hash for both in self.pairs for side in both)

    @property
    def is_alike(self) -> bool:
        """Whether both are known to have been asked the same: problems, prompts and targets."""
        targets_known = all(side.target_hash for both in self.pairs for side in both)
        return self.prompts_known and targets_known and not self.mismatches


def pair(base: Samples, edited: Samples) -> Pairing:
    """Pair two sides by the hash of the problem; equal problems by their order.

    Where one side has no samples there are no pairs, and no mismatch either.
    """
    if not base.rows or not edited.rows:
        return Pairing((), ())
    before, after = _by_problem(base.rows), _by_problem(edited.rows)
    pairs = tuple(Pair(before[key], after[key]) for key in before if key in after)
    lines = []
    if alone := len(before) + len(after) - 2 * len(pairs):
        lines.append(f"{alone} problems were answered on one side only")
    for what in ("prompt", "target"):
        hashes = [(getattr(one, f"{what}_hash"), getattr(other, f"{what}_hash")) for one, other in pairs]
        # A hash that a side does not have is no other one: that is for ``notes``.
        if differing := sum(None not in both and both[0] != both[1] for both in hashes):
            lines.append(f"{differing} problems have another {what} on the other side")
    return Pairing(pairs, tuple(lines))


def _by_problem(rows: Iterable[Sample]) -> dict[tuple[str, int], Sample]:
    """By hash, and by how many of the same hash came before."""
    seen: Counter[str] = Counter()
    problems = {}
    for row in rows:
        problems[row.doc_hash, seen[row.doc_hash]] = row
        seen[row.doc_hash] += 1
    return problems


class TokenCounter:
    """Counts tokens as the model does, from its tokenizer.json."""

    def __init__(self, path: Path) -> None:
        """Read the tokenizer.

        Raises:
            ArtifactError: No tokenizer there.
        """
        from tokenizers import Tokenizer

        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            self._tokenizer = Tokenizer.from_buffer(file.read_bytes())
        except OSError as error:
            raise ArtifactError(f"cannot read a tokenizer at {file}: {error.strerror}") from error
        except Exception as error:  # tokenizers raises nothing narrower
            raise ArtifactError(f"expected a tokenizer.json at {file}: {error}") from error

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without special ones around it."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encoded]


def measure(task: TaskRun, metric: str, samples: Samples, counter: TokenCounter | None) -> Measures:
    """Everything known of one model's answers beside their score.

    Args:
        task: The model's results.
        metric: lm-eval's key of the score that is compared; its filter is used here too.
        samples: The model's answers, if logged.
        counter: To count tokens with, if asked for.
    """
    filter_name = metric.partition(",")[2]
    texts = [row.text for row in samples.rows if row.text is not None]
    tokens = counter.counts(texts) if counter and texts else []
    cut_off = None
    if tokens:
        limit = token_limit(task.generation or {}) or task.token_limit
        # A generation that ran into the limit has as many tokens as that, or reads back as more.
        cut_off = None if limit is None else sum(count >= limit for count in tokens) / len(tokens)
    return Measures(
        math_verify=_score(task, f"math_verify,{filter_name}"),
        no_answer=_no_answer(task, filter_name, samples),
        cut_off=cut_off,
        mean_characters=sum(map(len, texts)) / len(texts) if texts else None,
        mean_tokens=sum(tokens) / len(tokens) if tokens else None,
    )


def _no_answer(task: TaskRun, filter_name: str, samples: Samples) -> float | None:
    """Share without an answer: by the task's own word, else by its filter's."""
    answered = _score(task, f"answer_found,{filter_name}")
    if answered is not None:
        return 1 - answered
    if filter_name == "none" or not samples.rows or any(row.extracted is None for row in samples.rows):
        return None
    return sum(not row.extracted for row in samples.rows) / len(samples.rows)


def _score(task: TaskRun, key: str) -> float | None:
    return task.scores[key].value if key in task.scores else None
