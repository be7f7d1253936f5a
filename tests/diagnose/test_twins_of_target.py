"""Which documents and tokens of the target's surface twins are encoded."""

from pathlib import Path

from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.subject import Subject, open_subject
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
