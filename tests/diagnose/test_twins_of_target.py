"""Which documents and tokens of the target's surface twins are encoded."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from sae_merge_method.corpora.tokens import Document
from sae_merge_method.corpora.twins import TWINS
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.subject import Subject, open_subject
from sae_merge_method.errors import UsageError
from sae_merge_method.together.workers import Workers
from tests.diagnose import hosts


def opened(legible: Path, target: Path, control: Path, **settings: object) -> Subject:
    inputs = {"model": str(legible), "sae": "none", "target": str(target), "control": (str(control),)}
    return open_subject(DiagnoseSettings.model_validate(inputs | settings), Workers(0, 1, 0))


def test_every_document_that_a_limit_of_tokens_lets_in_has_its_twin(
    tmp_path: Path, legible: Path, prose: Path
) -> None:
    # m9 and cc1 are no words of the tokenizer's; of a twin with cc9 one token more is.
    texts = [f"m0 m9 cc1 {one} {other}" for one in hosts.COMMON for other in hosts.COMMON]
    target = hosts.write_jsonl(tmp_path / "t.jsonl", texts)
    subject = opened(legible, target, prose, max_tokens=90, match=False)
    kept = subject.sides.of(0)
    assert len(kept) == 30
    for twins in subject.sides.twins:
        assert [twin.position for twin in twins] == list(range(30))
        assert all(twin.counted.sum() <= of.counted.sum() for twin, of in zip(twins, kept, strict=True))


def words_counted(documents: tuple[Document, ...]) -> list[list[str]]:
    return [[hosts.WORDS[number] for number in one.ids[one.counted]] for one in documents]


@pytest.mark.parametrize("settings", [{}, {"match": False, "max_length": 16}])
def test_twins_count_nothing_of_a_preamble_that_is_masked_as_a_template(
    tmp_path: Path, legible: Path, prose: Path, settings: dict[str, object]
) -> None:
    preamble = "p0 p1 p2 p3 p4 p5"
    texts = [f"{preamble} {text} {preamble}" for text in hosts.sentences(hosts.MATHS, 40, seed=0)]
    target = hosts.write_jsonl(tmp_path / "t.jsonl", texts)
    subject = opened(legible, target, prose, mask=("template",), **settings)
    kept = words_counted(subject.sides.of(0))
    assert not {word for words in kept for word in words} & {*preamble.split()}
    for nth, name in enumerate(TWINS):
        twins = words_counted(subject.sides.twins[nth])
        assert [len(words) for words in twins] == [len(words) for words in kept], name
        assert twins != kept
        assert not {word for words in twins for word in words} & {*preamble.split()}


def test_a_tokenizer_that_cannot_say_where_its_tokens_stand_masks_no_template_beside_twins(
    legible: Path, maths: Path, prose: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PreTrainedTokenizerFast, "is_fast", False)
    with pytest.raises(UsageError, match="--mask newlines,template beside --twins needs a fast tokenizer"):
        opened(legible, maths, prose, mask=("newlines", "template"))
    assert opened(legible, maths, prose, mask=("newlines", "template"), twins=()).sides.twins == ()
