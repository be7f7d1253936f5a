"""The texts of a miniature on disk: problems as a data set, corpora for the diagnosis, the tokenizer."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

from sae_merge_method.miniature.dataset import write_dataset, write_jsonl
from sae_merge_method.miniature.documents import Document, drill_stream, maths_stream, story_stream
from sae_merge_method.miniature.problems import SUBJECTS, Problem, draw_problem, held_out_problems
from sae_merge_method.miniature.settings import Settings
from sae_merge_method.miniature.tokenizer import train_tokenizer

TOKENIZER_FOLDER = "tokenizer"
TARGET_FILE = "target.jsonl"
CONTROL_FILE = "control.jsonl"
GENERAL_FILE = "general.jsonl"

_SHOWN_PER_SUBJECT = 20


def make_texts(settings: Settings, folder: Path) -> None:
    """Write everything textual a miniature needs into ``folder``."""
    streams = Streams(settings, "texts")
    write_dataset(folder, train=streams.shown(), test=held_out(settings))
    count = settings.diagnosis_documents
    for file, stream in (
        (TARGET_FILE, streams.maths),
        (CONTROL_FILE, streams.stories),
        (GENERAL_FILE, streams.stories),
    ):
        write_jsonl(folder / file, [{"text": document.text} for document in islice(stream, count)])
    # In the base's proportions by documents, more or less: a merge is worth what it saves there.
    documents = settings.tokenizer_documents
    sample = (
        *islice(streams.maths, documents // 2),
        *islice(streams.stories, documents // 2),
        *islice(streams.drills, documents // 10),
    )
    pieces = (piece for d in sample for piece in (d.prompt, d.completion) if piece)
    train_tokenizer(pieces, settings.vocabulary).save_pretrained(folder / TOKENIZER_FOLDER)


def held_out(settings: Settings) -> dict[str, tuple[Problem, ...]]:
    """The problems no model is trained on, by subject."""
    count = settings.problems_per_subject
    return {subject: held_out_problems(settings.seed, subject, count) for subject in SUBJECTS}


class Streams:
    """Endless training documents of the three kinds, for one purpose, free of held-out problems."""

    maths: Iterator[Document]
    drills: Iterator[Document]
    stories: Iterator[Document]

    def __init__(self, settings: Settings, purpose: str, slips: float = 0.0) -> None:
        """Two purposes under one seed have different documents; ``slips`` as in the maths stream."""
        self._banned = {p.text for problems in held_out(settings).values() for p in problems}
        seed = f"{purpose} {settings.seed}"
        self._rng = Random(f"shown {seed}")
        self.maths = maths_stream(Random(f"maths {seed}"), self._banned, slips)
        self.drills = drill_stream(Random(f"drills {seed}"))
        self.stories = story_stream(Random(f"stories {seed}"))

    def shown(self) -> dict[str, list[Problem]]:
        """A few problems by subject that may be trained on: the data set's train split."""
        shown: dict[str, list[Problem]] = {subject: [] for subject in SUBJECTS}
        for subject, problems in shown.items():
            while len(problems) < _SHOWN_PER_SUBJECT:
                problem = draw_problem(self._rng, subject)
                if problem.text not in self._banned:
                    problems.append(problem)
        return shown
