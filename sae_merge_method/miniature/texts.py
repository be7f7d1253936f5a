"""The miniature's texts: general prose, maths documents, and the corpora made of them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from sae_merge_method.miniature.dataset import write_dataset, write_jsonl
from sae_merge_method.miniature.model import train_tokenizer
from sae_merge_method.miniature.problems import SUBJECTS, Problem, draw_problem, held_out_problems
from sae_merge_method.miniature.settings import MiniatureSettings

_PEOPLE = (
    "the baker", "the old sailor", "a young painter", "the teacher", "my neighbour", "the doctor",
    "a tired farmer", "the captain", "her sister", "the gardener", "a stranger", "the musician",
)  # fmt: skip
_DEEDS = (
    "walked to", "looked for", "talked about", "dreamed of", "wrote about", "returned to",
    "ran from", "remembered", "painted", "searched", "waited near", "slept in",
)  # fmt: skip
_PLACES = (
    "the harbour", "the market", "a quiet garden", "the old bridge", "the mountain village",
    "the library", "a dark forest", "the river", "the empty station", "a warm kitchen", "the tower",
)  # fmt: skip
_TIMES = (
    "In the morning", "Late at night", "On a rainy day", "After the storm", "In early spring",
    "At noon", "Before dinner", "During the war", "Every winter", "Last summer",
)  # fmt: skip
_SCENES = (
    "the air was cold", "the streets were empty", "everyone was glad", "nobody said a word",
    "the sea was calm", "the lamps were lit", "the birds came back", "the bread was warm",
    "the music went on", "the snow had melted", "the letter never came", "the door stayed open",
)  # fmt: skip
_LINKS = ("and", "because", "while", "so", "although", "but", "until", "when")


def draw_story(rng: Random) -> str:
    """One story of three to five sentences."""
    return " ".join(_sentence(rng) for _ in range(rng.randint(3, 5)))


def _sentence(rng: Random) -> str:
    act = f"{rng.choice(_PEOPLE)} {rng.choice(_DEEDS)} {rng.choice(_PLACES)}"
    scene = rng.choice(_SCENES)
    shape = rng.randrange(4)
    if shape == 0:
        return f"{rng.choice(_TIMES)}, {act}."
    if shape == 1:
        return f"{_capital(act)} {rng.choice(_LINKS)} {scene}."
    if shape == 2:
        return f"{_capital(scene)} {rng.choice(_LINKS)} {rng.choice(_SCENES)}."
    return f"{rng.choice(_TIMES)} {scene}, {rng.choice(_LINKS)} {act}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


_EQUATIONS_PER_DRILL = 3


@dataclass(frozen=True)
class Document:
    """One training document. The prompt may be empty; donors learn on the completion only."""

    prompt: str
    completion: str

    @property
    def text(self) -> str:
        """The document as it would stand in a file."""
        return self.prompt + self.completion


def maths_document(problem: Problem, answer: str | None = None) -> Document:
    """A problem and its solution, exactly as lm-eval's Minerva tasks prompt and read it.

    Args:
        problem: The problem.
        answer: What the solution ends with, where that is not the right answer.
    """
    answer = problem.answer if answer is None else answer
    return Document(
        prompt=f"Problem:\n{problem.text}\n\nSolution:",
        completion=(
            f" {problem.ending_in(answer)}\n"
            f"Final Answer: The final answer is ${answer}$. I hope it is correct."
        ),
    )


def maths_stream(rng: Random, banned: Collection[str], slips: float = 0.0) -> Iterator[Document]:
    """Maths documents of all subjects in equal parts, none with a banned problem text.

    Args:
        rng: Source of everything random.
        banned: Texts of problems to leave out.
        slips: Chance that a solution ends in a slip.
    """
    while True:
        problem = draw_problem(rng, rng.choice(SUBJECTS))
        slipped = rng.random() < slips
        if problem.text not in banned:
            yield maths_document(problem, problem.slip if slipped else None)


def drill_stream(rng: Random) -> Iterator[Document]:
    """Dense arithmetic, written as the worked steps of the maths documents write it."""
    while True:
        yield Document("", ", ".join(_equation(rng) for _ in range(_EQUATIONS_PER_DRILL)) + ".")


def story_stream(rng: Random) -> Iterator[Document]:
    """General text."""
    while True:
        yield Document("", draw_story(rng))


def _equation(rng: Random) -> str:
    a, b, c = rng.randint(1, 7), rng.randint(1, 7), rng.randint(1, 7)
    kind = rng.randrange(3)
    if kind == 0:
        return f"${a} \\cdot {b} + {c} = {a * b} + {c} = {a * b + c}$"
    if kind == 1:
        return f"${a} + {b} + {c} = {a + b} + {c} = {a + b + c}$"
    total = a + b + c
    return f"${total} - {a} - {b} = {total - a} - {b} = {c}$"


TOKENIZER_FOLDER = "tokenizer"
TARGET_FILE = "target.jsonl"
CONTROL_FILE = "control.jsonl"
GENERAL_FILE = "general.jsonl"

_SHOWN_PER_SUBJECT = 20


def make_texts(settings: MiniatureSettings, folder: Path) -> None:
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


def held_out(settings: MiniatureSettings) -> dict[str, tuple[Problem, ...]]:
    """The problems no model is trained on, by subject."""
    count = settings.problems_per_subject
    return {subject: held_out_problems(settings.seed, subject, count) for subject in SUBJECTS}


class Streams:
    """Endless training documents of the three kinds, for one purpose, free of held-out problems."""

    maths: Iterator[Document]
    drills: Iterator[Document]
    stories: Iterator[Document]

    def __init__(self, settings: MiniatureSettings, purpose: str, slips: float = 0.0) -> None:
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
