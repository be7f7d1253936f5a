"""A task asked of edits: its problems in parts by their hash, and what an edit scores beside the base."""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.reading import Problem
from sae_merge_method.errors import CorpusError
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.questions import Question, lm_around, questions, scores
from sae_merge_method.files.hashing import json_sha256
from sae_merge_method.loaded.text_model import TextModel
from sae_merge_method.statistics.evidence import Evidence, Mean
from sae_merge_method.statistics.intervals import Interval
from sae_merge_method.statistics.tests import TESTS
from sae_merge_method.tune.bench import Bench
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.splits import FEWEST, HELD_BACK, SPLITS, split_of

if TYPE_CHECKING:
    from lm_eval.api.model import TemplateLM


ANSWERS = "answers"
"""Kind of measurement."""


class Compared(NamedTuple):
    """Scores of one edit less those of another on the same problems."""

    delta: float
    interval: Interval | None
    """None where it has none."""
    p: float | None
    """Two-sided, of the test that fits: exact McNemar for right and wrong; None where there is no test."""


class Exam:
    """The problems of some tasks.

    Args:
        harness: With the tasks.
        metric: What is scored, with or without its filter.
        model: In memory: edits of its weights are asked.
        searched: Whether edits are searched on the problems, too: they are in three parts then, else in two.

    Raises:
        CorpusError: A part has less than two problems.
    """

    def __init__(self, harness: Harness, metric: str, model: TextModel, *, searched: bool = False) -> None:
        self.metric = metric
        self._harness = harness
        self._lm: TemplateLM = lm_around(model, harness.settings)
        self._questions = questions(self._harness, self._lm)
        shares = SPLITS if searched else HELD_BACK
        self._parts: dict[str, list[Question]] = {name: [] for name in shares}
        for question in self._questions:
            self._parts[split_of(question.text, shares)].append(question)
        for name, members in self._parts.items():
            if len(members) < FEWEST:
                raise CorpusError(
                    f"the {name} part of {self.name} has {len(members)} of its {len(self._questions)} "
                    f"problems, and takes {FEWEST} at least: problems are divided by their hash, so that "
                    "none is chosen and judged on; more of them are needed"
                )

    @property
    def name(self) -> str:
        """The tasks."""
        return ", ".join(dict.fromkeys(question.task for question in self._questions))

    @cached_property
    def sha256(self) -> str:
        """Over all problems as the model reads them."""
        whole = [[one.task, one.number, one.prompt, one.answer] for one in self._questions]
        return json_sha256(whole)

    @property
    def sizes(self) -> dict[str, int]:
        """By part, number of problems."""
        return {name: len(members) for name, members in self._parts.items()}

    def corpus(self) -> Corpus:
        """The problems with their right answers, as texts.

        Raises:
            CorpusError: A problem has no right answer that is text.
        """
        problems = [Problem(one.prompt, one.answer) for one in self._questions if one.answer is not None]
        if len(problems) < len(self._questions):
            raise CorpusError(
                f"{len(self._questions) - len(problems)} of {len(self._questions)} problems of {self.name} "
                "have no right answer that could be searched on: name texts as target beside it"
            )
        return Corpus(
            self.name,
            self.sha256,
            tuple(one.prompt + one.completion for one in problems),
            tuple(one.text for one in self._questions),
            tuple(problems),
        )

    def check_unseen(self, target: Corpus) -> None:
        """Refuse texts that are searched on and asked.

        Raises:
            CorpusError: Some texts of the target are problems of the tasks.
        """
        prompts = [one.prompt for one in target.problems] if target.problems else target.documents
        read = {_plain(text) for text in prompts}
        shared = [one for one in self._questions if {_plain(one.text), _plain(one.prompt)} & read]
        if shared:
            raise CorpusError(
                f"{target.name} holds {len(shared)} of the {len(self._questions)} problems of {self.name}, "
                f"such as {shared[0].text[:60]!r}: nothing can be judged on what it was searched on; leave "
                "them out of the texts, or leave target out to have the task's problems divided"
            )

    def scores(self, bench: Bench, edit: Edit, part: str) -> tuple[float, ...]:
        """What an edit scores on every problem of a part."""
        asked, how = self._parts[part], self._harness.settings
        what = [self.sha256, self.metric, part, how.gen_kwargs, how.model_args]
        known = bench.recall(ANSWERS, edit, what, lambda: scores(self._harness, self._lm, asked, self.metric))
        return tuple(known)

    def mean(self, bench: Bench, edit: Edit, part: str) -> float:
        """The mean of it."""
        return _mean(self.scores(bench, edit, part))

    def compare(self, bench: Bench, edit: Edit, other: Edit, part: str, level: float) -> Compared:
        """An edit's scores less another's, problem by problem.

        Args:
            bench: To measure on.
            edit: The edit.
            other: The other one.
            part: Name of the part.
            level: Of the interval.
        """
        after, before = self.scores(bench, edit, part), self.scores(bench, other, part)
        n = len(after)
        # Of both means, all that matters is that the pairs are all there is to them.
        evidence = Evidence(
            Mean(_mean(before), None, n), Mean(_mean(after), None, n), tuple(zip(before, after, strict=True))
        )
        test = TESTS["auto"].for_this(evidence)
        return Compared(_mean(evidence.differences), test.interval(evidence, level), test.of(evidence).p)


class Panel(NamedTuple):
    """All that edits are told apart by."""

    bench: Bench
    """Losses."""
    task: Exam | None = None
    """The task that chooses and judges; None where loss does."""
    guard: Exam | None = None
    """The task that must not be harmed; None without one."""
    points: float | None = None
    """How much of it may be lost, in hundredths of its metric; None without a guard."""

    def ask(self, edit: Edit, part: str, *, guarded: bool = True) -> None:
        """Measure all that is looked at in a part that nothing is searched on."""
        self.bench.measure(edit, part)
        for exam in filter(None, (self.task, self.guard if guarded else None)):
            exam.scores(self.bench, edit, part)

    def lost(self, edit: Edit, part: str) -> float:
        """Points of the guard that an edit loses; 0 without a guard."""
        if self.guard is None:
            return 0.0
        mean = self.guard.mean
        return 100 * (mean(self.bench, self.bench.base, part) - mean(self.bench, edit, part))

    def keeps(self, edit: Edit, part: str) -> bool:
        """Whether an edit loses no more points of the guard than are allowed."""
        # Sums of the same problems in another order differ in their last bits.
        return self.points is None or self.lost(edit, part) <= self.points + 1e-9


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _plain(text: str) -> str:
    return " ".join(text.split())
