import pytest
import torch

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.errors import UsageError
from sae_merge_method.models.devices import (
    exact_device,
    format_memory,
    free_memory,
    parse_memory,
    peak_memory,
    resolve_device,
)

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "amount"), [("6G", 6 * GIB), ("1.5 GiB", GIB * 3 // 2), ("512m", GIB // 2), ("77", 77)]
)
def test_amounts_are_read(text: str, amount: int) -> None:
    assert parse_memory(text) == amount


def test_what_is_no_amount_is_refused_and_amounts_are_written_for_people() -> None:
    with pytest.raises(UsageError, match="such as 6G or 512M, got 'much'"):
        parse_memory("much")
    assert format_memory(3 * GIB / 2) == "1.5 GiB"
    assert format_memory(GIB / 4) == "256 MiB"


def test_this_machine_has_free_memory() -> None:
    assert free_memory(torch.device("cpu")) > 1 << 20


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_is_the_first_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto") == resolve_device() == expected


def test_a_device_that_is_named_is_that_one_or_refused_before_anything_is_put_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert resolve_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="'cuda': torch sees no CUDA GPU; auto is the best there is"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(UsageError, match="'cuda:2': torch sees cuda:0 to cuda:1;"):
        resolve_device("cuda:2")
    for name in ("tpu", "meta", "hpu"):
        with pytest.raises(UsageError, match=f"cannot use the device '{name}'"):
            resolve_device(name)


def test_a_name_that_no_device_has_is_refused_with_the_settings() -> None:
    needed = {"model": "m", "sae": "s", "target": "t", "control": ["c"]}
    assert read_settings(DiagnoseSettings, needed).device == "auto"
    with pytest.raises(UsageError, match=r"device: expected auto, or a torch device .* got 'GPU 1'"):
        read_settings(DiagnoseSettings, {**needed, "device": "GPU 1"})


def test_sums_in_float64_are_held_where_float64_is() -> None:
    assert exact_device(torch.device("mps")) == torch.device("cpu")
    assert exact_device(torch.device("cuda:1")) == torch.device("cuda:1")


def test_the_peak_of_some_work_is_what_it_held_at_once() -> None:
    with peak_memory(torch.device("cpu")) as peak:
        held = torch.ones(1 << 24)  # 64 MiB: of more than 32 malloc always asks the system
        del held
    with peak_memory(torch.device("cpu")) as none:
        pass
    assert 40 << 20 < peak.nbytes < 200 << 20
    assert none.nbytes < 30 << 20
