"""Where a layer's SAE lies: a folder of a template, or an id of a release."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sae_merge_method.errors import SaeError, UsageError
from sae_merge_method.saes.find import find_sae, find_saes
from sae_merge_method.saes.opening import load_sae
from tests.diagnose import hosts

RELEASE, TEMPLATE = "gemma-scope-2-4b-it-res-all", "layer_{layer}_width_16k_l0_small"


def test_layers_without_an_sae_are_left_out(tmp_path: Path) -> None:
    hosts.save_raw(tmp_path / "saes/layer_1", 1)
    hosts.save_raw(tmp_path / "saes/layer_3", 3)
    by_folder = find_saes(str(tmp_path / "saes/layer_{layer}"), None, range(4))
    by_id = find_saes(str(tmp_path / "saes"), "layer_{layer}", range(4))
    assert [address.layer for address in by_folder] == [1, 3]
    assert [address.folder for address in by_folder] == [address.folder for address in by_id]
    assert find_sae(str(tmp_path / "saes"), "layer_{layer}", 3) == by_id[1]


def test_a_folder_of_folders_of_layers_needs_no_template(tmp_path: Path) -> None:
    hosts.save_raw(tmp_path / "saes/layer_1", 1)
    hosts.save_raw(tmp_path / "saes/layer_02", 2)
    found = find_saes(f"{tmp_path}/saes/", None, range(4))
    assert [(one.layer, one.release) for one in found] == [
        (n, f"{tmp_path}/saes/layer_{{layer}}") for n in (1, 2)
    ]
    assert find_sae(str(tmp_path / "saes"), None, 2) == found[1]


def test_a_folder_template_finds_layers_of_every_format(tmp_path: Path) -> None:
    hosts.save_raw(tmp_path / "saes/layer_0", 0)
    hosts.save_sae(tmp_path / "saes/layer_3", 3)
    addresses = find_saes(str(tmp_path / "saes/layer_{layer}"), None, range(4))
    saes = [load_sae(address, hosts.D_MODEL, torch.float32, torch.device("cpu")) for address in addresses]
    assert [sae.source.hook_point for sae in saes] == ["model.layers.0.output", "blocks.3.hook_resid_post"]


def test_layers_with_zeros_in_front_are_found(tmp_path: Path) -> None:
    hosts.save_raw(tmp_path / "saes/layer_02", 2)
    hosts.save_raw(tmp_path / "saes/layer_11", 11)
    template = str(tmp_path / "saes/layer_{layer}")
    assert [address.layer for address in find_saes(template, None, range(12))] == [2, 11]
    assert find_sae(template, None, 2).folder == tmp_path / "saes/layer_02"
    hosts.save_raw(tmp_path / "saes/layer_2", 2)
    with pytest.raises(SaeError, match="expected one SAE of layer 2"):
        find_sae(template, None, 2)


def test_the_users_own_folder_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch) -> None:
    hosts.save_raw(tmp_path / "layer_1", 1)
    monkeypatch.setenv("HOME", str(tmp_path))
    (address,) = find_saes("~/layer_{layer}", None, range(4))
    assert (address.release, address.folder) == ("~/layer_{layer}", tmp_path / "layer_1")
    assert find_sae("~", "layer_{layer}", 1).folder == tmp_path / "layer_1"


def test_a_release_is_searched_by_its_ids() -> None:
    addresses = find_saes(RELEASE, TEMPLATE, range(34))
    assert [address.layer for address in addresses] == list(range(34))
    assert addresses[9].id == "layer_9_width_16k_l0_small"
    assert find_sae(RELEASE, TEMPLATE, 9) == addresses[9]
    with pytest.raises(SaeError, match="has no SAE named like"):
        find_saes(RELEASE, "layer_{layer}_width_3k", range(34))
    with pytest.raises(SaeError, match="has no SAE 'layer_99_width_16k_l0_small' for layer 99"):
        find_sae(RELEASE, TEMPLATE, 99)
    for find in (lambda: find_saes("no-such", TEMPLATE, range(4)), lambda: find_sae("no-such", TEMPLATE, 9)):
        with pytest.raises(SaeError, match="neither a folder nor a release"):
            find()


def test_an_empty_place_and_a_template_without_a_layer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SaeError, match=r"no SAE found at .* expected folders with cfg.json and sae_weights"):
        find_saes(str(tmp_path / "layer_{layer}"), None, range(4))
    with pytest.raises(UsageError, match="to stand for the layer's number"):
        find_saes(str(tmp_path), None, range(4))
    with pytest.raises(SaeError, match="no SAE of layer 4: there is no folder .*layer_4"):
        find_sae(f"{tmp_path}/layer_{{layer}}", None, 4)
    with pytest.raises(
        SaeError, match=r"expected cfg.json and sae_weights.safetensors \(SAELens\) or config"
    ):
        find_sae(str(tmp_path), None, 4)


def test_a_folder_whose_folders_hold_saes_of_parts_is_refused_with_their_names(tmp_path: Path) -> None:
    for hook in ("mlp_out", "attn_out"):
        hosts.save_raw(tmp_path / hook / "layer_1", 1)
    for find in (lambda: find_saes(str(tmp_path), None, range(4)), lambda: find_sae(f"{tmp_path}/", None, 1)):
        with pytest.raises((SaeError, UsageError)) as error:
            find()
        assert str(error.value).endswith(f"; SAEs of layers lie in {tmp_path}/attn_out, {tmp_path}/mlp_out")


def test_a_release_is_looked_up_without_importing_saelens() -> None:
    program = f"""
import sys
from sae_merge_method.saes.find import find_sae, find_saes
assert find_sae({RELEASE!r}, {TEMPLATE!r}, 9) == find_saes({RELEASE!r}, {TEMPLATE!r}, [9])[0]
assert not {{"sae_lens", "torch", "transformers"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
