"""How much of a score is surface, from corpora to the tables."""

from pathlib import Path

import numpy as np
import pytest

from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis
from sae_merge_method.artifacts.usage import Surface, SurfaceNames, UsageReader
from sae_merge_method.cli import diagnose as diagnose_command
from sae_merge_method.cli import score as score_command
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES, TokenClass
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.diagnose.surface import score_surface
from sae_merge_method.diagnose.tables import surface_grid
from tests.diagnose import hosts
from tests.diagnose.command import diagnose, run
from tests.diagnose.usage_by_hand import documents, random_usage, usage_of

DRAWS = ("--permutations", "50", "--bootstrap", "0", "--snippets", "0")


def diagnosed(place: Path, legible: Path, saes: str, maths: Path, prose: Path, *more: str) -> Diagnosis:
    diagnose(place, legible, saes, maths, prose, *DRAWS, *more)
    return read_diagnosis(place)


def test_a_score_of_words_keeps_its_size_when_words_are_shuffled(planted: Path) -> None:
    """The model's streams say which word stands there and nothing of the order."""
    for entry in read_diagnosis(planted).layers:
        assert entry.twins["words"] == pytest.approx(entry.score, rel=0.1, abs=0.02)
        assert set(entry.without) == set(TOKEN_CLASSES)


def test_rescoring_gives_every_sum_its_surface_and_no_score_of_the_top_k(
    planted: Path, tmp_path: Path
) -> None:
    few = ("--permutations", 20, "--bootstrap", 0)
    for name, row in SCORES.items():
        run(score_command.command, planted, "--score", name, "--out", tmp_path / name, *few)
        entry = read_diagnosis(tmp_path / name).layers[1]
        assert bool(entry.without) == bool(entry.twins) == (row.top_k is None)
    header = surface_grid(read_diagnosis(tmp_path / "js_bits")).header
    assert header[1:] == (
        *(f"carried by {name}" for name in TOKEN_CLASSES),
        *("kept with words shuffled", "kept with digits shuffled"),
    )


def test_shares_come_from_means_without_the_class_and_of_the_twin() -> None:
    dense = random_usage(0, 30, 40)
    dense[:10, :10] *= 3
    sides = documents(10, 10, 10)
    usage = usage_of(dense)
    stored = [usage.mean_over(sides.side == side) for side in range(3)]
    # Without the first class nothing changes; without the second the target is like the first control.
    without = np.stack([np.stack([one, one]) for one in stored])
    without[0, 1] = stored[1]
    surface = Surface(without.astype(np.float32), np.stack([stored[0], stored[1]]).astype(np.float32))
    names = SurfaceNames(("nothing", "all"), ("same", "plain"))
    scored = score_surface(SCORES["kl_bits"], usage, surface, sides, names)
    whole = min(
        float(SCORES["kl_bits"].layer(*({"usage": torch_of(stored[side])} for side in (0, control))))
        for control in (1, 2)
    )
    assert scored.without["nothing"] == pytest.approx(whole, rel=1e-5)
    assert scored.twins["same"] == pytest.approx(whole, rel=1e-5)
    assert scored.without["all"] == pytest.approx(0, abs=1e-6)
    assert scored.twins["plain"] == pytest.approx(0, abs=1e-6)


def torch_of(values: np.ndarray) -> object:
    import torch

    return torch.from_numpy(values)


def test_what_digits_alone_tell_apart_is_carried_by_digits_and_gone_when_they_are_masked(
    tmp_path: Path, legible: Path, planted_saes: str, caplog: pytest.LogCaptureFixture
) -> None:
    words = [*hosts.PROSE[:4], *hosts.COMMON]
    both = hosts.sentences(words, 60, 0, length=30)
    target = hosts.write_jsonl(tmp_path / "t.jsonl", [f"m0 m1 m2 m3 m4 {text}" for text in both[:30]])
    control = hosts.write_jsonl(tmp_path / "c.jsonl", both[30:])
    row = TokenClass(
        "maths",
        "words of maths",
        lambda documents, decode: [np.isin(one.ids, range(6, 14)) for one in documents],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TOKEN_CLASSES, row.name, row)
        listed = " ".join(run(diagnose_command.command, "--help").output.split())
        assert "|template|maths],..." in listed
        assert "maths words of maths" in listed
        seen = diagnosed(tmp_path / "seen", legible, planted_saes, target, control)
        masked = diagnosed(
            tmp_path / "masked", legible, planted_saes, target, control, "--mask", "maths,template"
        )
    layer = seen.layers[1]
    assert layer.null is not None
    assert layer.null.p <= 0.02
    carried = layer.share_of_score(layer.without["maths"])
    assert carried is not None
    assert carried < 0.2
    assert seen.target.class_shares["maths"] > 0.1
    assert masked.target.class_shares["maths"] == 0
    assert masked.settings["mask"] == "maths, template"
    assert masked.layers[1].null is not None
    assert masked.layers[1].null.p > 0.05


def test_twins_are_encoded_beside_the_target_and_stored_as_means_alone(
    tmp_path: Path, legible: Path, planted_saes: str, maths: Path, prose: Path, planted: Path
) -> None:
    without = diagnosed(tmp_path / "none", legible, planted_saes, maths, prose, "--twins", "")
    assert without.layers[0].twins == {}
    assert without.scores("raw") == pytest.approx(read_diagnosis(planted).scores("raw"), rel=1e-4)
    one, both = UsageReader(tmp_path / "none"), UsageReader(planted)
    assert len(both.layer(0).indptr) == len(one.layer(0).indptr) == len(both.documents.side) + 1
    assert both.names.twins == ("words", "digits")
    assert both.surface(0).twins.shape == (2, both.layer(0).d_sae)
