"""The trial's texts: problems of each ability, text close to it, prose, and a mixture to train SAEs on.

Prose and code come out of packages that the software depends on, so that none has to be had from elsewhere:
paragraphs of docstrings and of lm-eval's task descriptions, functions of lm-eval's own code. Which they are
depends on the versions installed (``constraints.txt`` names the tested ones), and on nothing else.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from random import Random

from sae_merge_method.files.folders import new_folder
from sae_merge_method.miniature.dataset import write_jsonl
from sae_merge_method.miniature.texts import maths_stream
from trials.abilities import ABILITIES, ability_named, near_texts, problems, stream
from trials.settings import TrialSettings

PROSE = ("lm_eval", "matplotlib", "numpy", "scipy", "torch")
"""Packages whose documentation is read as prose."""
CODE = "lm_eval"
"""The package whose functions are read as code."""
_PARAGRAPH = range(200, 900)
"""Characters of a paragraph that is taken."""
_PASSAGE = 300
"""Least characters of one that damage is told on: at its first twenty tokens a model is surprised by
anything, and what a donor has lost does not show."""
_FUNCTION = range(200, 1200)
"""Characters of a function that is taken."""
_NO_PROSE = re.compile(r"[`{}|\\<>\[\]#*_@=~^:]|https?|\.\. |>>>|--|^[-0-9]")
_QUOTED = re.compile(r'"""(.*?)"""', re.DOTALL)
"""Where docstrings stand. Parsing three thousand files of code for them takes a minute."""
_LETTERS = 0.94
"""Least share of letters and spaces in prose."""


def make_texts(settings: TrialSettings, folder: Path) -> None:
    """Write all texts into ``folder``, unless it stands.

    ``<ability>/target.jsonl`` and ``search.jsonl`` hold ``prompt`` and ``completion`` a line,
    ``control/prose.jsonl``, ``control/near-<ability>.jsonl`` and ``mixture.jsonl`` a ``text``. No text of the
    mixture is among the prose of the control.
    """
    if (folder / "mixture.jsonl").is_file():
        return
    with new_folder(folder) as new:
        for name in settings.abilities:
            ability = ability_named(name)
            for split, count in (("target", settings.target_problems), ("search", settings.search_problems)):
                rows = [problem._asdict() for problem in problems(ability, split, count)]
                write_jsonl(new / name / f"{split}.jsonl", rows)
            _write_texts(
                new / "control" / f"near-{name}.jsonl", near_texts(ability, settings.control_passages)
            )
        prose = prose_paragraphs()
        control = [text for text in prose if len(text) >= _PASSAGE][: settings.control_passages]
        _write_texts(new / "control" / "prose.jsonl", control)
        rest = set(prose).difference(control)
        _write_texts(new / "mixture.jsonl", mixture(settings, [text for text in prose if text in rest]))


def mixture(settings: TrialSettings, prose: list[str]) -> list[str]:
    """Prose, maths and code in turn, until each has the characters that the settings give it."""
    kinds = (
        _within(prose, settings.mixture_prose),
        _within(maths_texts(settings), settings.mixture_maths),
        _within(code_texts(), settings.mixture_code),
    )
    taken = [[(at / len(kind), text) for at, text in enumerate(kind)] for kind in kinds]
    # Sorted by how far each is into its own kind: any beginning of the mixture has the same proportions.
    return [text for _, text in sorted(chain(*taken), key=lambda placed: placed[0])]


def prose_paragraphs() -> list[str]:
    """Paragraphs of plain English, no two alike, in an order of their own."""
    seen: dict[str, None] = {}
    for package in PROSE:
        for passage in _documentation(_folder_of(package)):
            for paragraph in re.split(r"\n\s*\n", passage):
                text = " ".join(paragraph.split())
                if _is_prose(text):
                    seen[text] = None
    return Random("prose").sample(sorted(seen), len(seen))


def code_texts() -> Iterator[str]:
    """Functions as they stand in their files, no two alike, file by file in an order of its own."""
    files = sorted((_folder_of(CODE) / "tasks").rglob("*.py"))
    seen: set[str] = set()
    for file in Random("code").sample(files, len(files)):
        source = file.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of their escapes
            nodes = ast.parse(source).body
        for node in nodes:
            text = ast.get_source_segment(source, node) if isinstance(node, ast.FunctionDef) else None
            if text and len(text) in _FUNCTION and text.isascii() and text not in seen:
                seen.add(text)
                yield text


def maths_texts(settings: TrialSettings) -> Iterator[str]:
    """Worked problems in words, and problems of the abilities that their donors may train on; without end."""
    streams = [
        (one.prompt + one.completion for one in stream(ABILITIES[a], "train")) for a in settings.abilities
    ]
    worked = (document.text for document in maths_stream(Random("maths"), banned=()))
    while True:
        yield next(worked)
        for problems_of_one in streams:
            yield next(problems_of_one)


def _within(texts: Iterable[str], characters: int) -> list[str]:
    taken: list[str] = []
    for text in texts:
        if characters <= 0:
            break
        taken.append(text)
        characters -= len(text)
    return taken


def _is_prose(text: str) -> bool:
    if len(text) not in _PARAGRAPH or not text.endswith(".") or _NO_PROSE.search(text):
        return False
    plain = sum(letter.isascii() and (letter.isalpha() or letter == " ") for letter in text)
    return plain >= _LETTERS * len(text)


def _documentation(package: Path) -> Iterator[str]:
    """Every docstring of a package, and the text of its descriptions in Markdown."""
    for file in sorted(package.rglob("*.md")):
        yield file.read_text(encoding="utf-8")
    for file in sorted(package.rglob("*.py")):
        yield from _QUOTED.findall(file.read_text(encoding="utf-8", errors="replace"))


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, "a dependency of ours is installed"
    return Path(spec.origin).parent


def _write_texts(file: Path, texts: list[str]) -> None:
    write_jsonl(file, [{"text": text} for text in texts])
