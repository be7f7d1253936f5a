"""What is looked at before a model is loaded, which takes the longest."""

from pathlib import Path

import pytest
import torch

from sae_merge_method.diagnose import subject
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.errors import UsageError
from sae_merge_method.together.workers import Workers
from tests import tiny


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sae": "saes/layer_3"}, "expected {layer} in --sae or --sae-id"),
        ({"layers": "2, 40"}, "layer 40"),
        ({"device": "cuda"}, "cannot use the device 'cuda'"),
    ],
)
def test_what_is_soon_told_to_be_wrong_is_told_before_texts_are_read_and_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], words: str
) -> None:
    model = tiny.gemma3_text(tmp_path / "model", seed=0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(subject, "read_corpus", lambda *_: pytest.fail("texts were read"))
    monkeypatch.setattr(subject, "load_text_model", lambda *_: pytest.fail("a model was loaded"))
    needed = {
        "model": str(model),
        "sae": "none",
        "target": "t",
        "control": ("c",),
    }
    settings = DiagnoseSettings.model_validate(needed | changed)
    with pytest.raises(UsageError, match=words):
        subject.open_subject(settings, Workers(0, 1, 0))
