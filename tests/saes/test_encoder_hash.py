"""The hash of an encoder: diagnoses on disk hold it, so what it is taken over stays as it is."""

from hashlib import sha256
from pathlib import Path

import pytest
import torch

from sae_merge_method.saes.encoder_hash import Parameter, encoder_sha256
from tests.diagnose import hosts
from tests.saes.at_hand import sae_at


def test_it_is_over_names_types_shapes_and_bytes_in_the_order_of_names_in_whatever_pieces() -> None:
    whole = sha256(b"W_enc torch.float32 (2, 1)\nabcdefghb_enc torch.bfloat16 (1,)\nij").hexdigest()
    for pieces in ([b"abcdefgh"], [b"abc", b"", b"defgh"]):
        bias = Parameter("bfloat16", (1,), [memoryview(b"ij")])
        weights = Parameter("float32", (2, 1), map(memoryview, pieces))
        assert encoder_sha256({"b_enc": bias, "W_enc": weights}) == whole


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loaded_encoder_has_that_of_its_parameters_as_they_are_used(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    sae = sae_at(hosts.save_sae(tmp_path / "layer_1", 1), 1)
    digest = sha256()
    for name, tensor in sorted(sae.load_encoder(dtype, torch.device("cpu")).parameters.items()):
        digest.update(f"{name} {dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())
    assert sae.load(dtype, torch.device("cpu")).source.sha256 == digest.hexdigest()
