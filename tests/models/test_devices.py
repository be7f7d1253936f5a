import pytest
import torch

from sae_merge_method.errors import UsageError
from sae_merge_method.models.devices import format_memory, free_memory, matmul_speed, parse_memory

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


def test_this_machine_has_free_memory_and_multiplies() -> None:
    cpu = torch.device("cpu")
    assert free_memory(cpu) > 1 << 20
    assert matmul_speed(torch.float32, cpu, size=128) > 1e6
