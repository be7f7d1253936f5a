"""One tensor's edit: its precision, its one rounding, and values that are no numbers."""

from hashlib import sha256
from pathlib import Path

import pytest
import torch
from xxhash import xxh3_128_hexdigest

from sae_merge_method.errors import MergeError
from sae_merge_method.geometry.realised import EditSums
from sae_merge_method.merge.injection import inject
from sae_merge_method.merge.tensor_edit import EditedTensor, TensorTask, edit_tensor
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
from tests.geometry import scenes
from tests.merge.scalpels import recipe
from tests.recipes import recipe_text, run_recipe

NAME = "model.layers.1.mlp.up_proj.weight"


def test_arithmetic_is_float32_and_rounded_once_for_a_wider_donor(tmp_path, merge):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    merge(recipe_text(base, donor, weight="0.3", tail="dtype: bfloat16"))
    out, before, give = (tiny.load_tensors(folder) for folder in (tmp_path / "out", base, donor))
    for name in (name for name in out if decoder_layer(name) == 1):
        theta = before[name].float()
        assert tiny.same_bytes(out[name], (theta + (give[name] - theta) * 0.3).bfloat16())
    assert tiny.edited_layers(tmp_path / "out", base) == {1, 3}


def test_float64_weights_keep_their_precision(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.float64)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=torch.float64)
    run_recipe(recipe_text(base, donor, weight="0.3"), tmp_path / "out")
    before, theirs, after = (tiny.load_tensors(folder) for folder in (base, donor, tmp_path / "out"))
    name = "model.layers.1.mlp.up_proj.weight"
    assert tiny.same_bytes(after[name], before[name] + (theirs[name] - before[name]) * 0.3)


@pytest.mark.parametrize("engine", ["direct", "mergekit"])
@pytest.mark.parametrize("part", ["self_attn.q_norm", "mlp.up_proj"])
def test_a_value_that_is_no_number_is_found_also_where_nothing_would_be_added(tmp_path, engine, part):
    name = f"model.layers.1.{part}.weight"
    scene = scenes.build(tmp_path, change=lambda tensors: tensors[name].view(-1)[3:4].fill_(torch.nan))
    with pytest.raises(MergeError, match=f"{name}: the donor tensor holds 1 NaN or infinite"):
        run_recipe(recipe(scene), tmp_path / "out", engine=engine)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def large(tmp_path: Path) -> tuple[Checkpoint, Checkpoint]:
    """A base in bfloat16 and a donor in float32, one tensor each, larger than two pieces."""
    checkpoints = []
    for seed, dtype in enumerate((torch.bfloat16, torch.float32)):
        values = torch.randn(600, 500, generator=torch.Generator().manual_seed(seed)).to(dtype)
        folder = tiny.save_checkpoint(tmp_path / str(seed), tiny.text_config(), {NAME: values})
        checkpoints.append(open_checkpoint(folder))
    return checkpoints[0], checkpoints[1]


def edited(large: tuple[Checkpoint, Checkpoint], alpha: float) -> tuple[EditedTensor, bytes, list[int]]:
    """The edit, the bytes it wrote, and the steps of its progress."""
    written, steps = bytearray(), []

    def write(data: memoryview, first: int) -> None:
        assert first == len(written)
        written.extend(data)

    base, donor = (checkpoint.tensors[NAME] for checkpoint in large)
    with WeightFiles(large) as files:
        done = edit_tensor(TensorTask(1, base, (donor,), (alpha,)), None, files, write, steps.append)
    return done, bytes(written), steps


def test_a_large_tensor_is_edited_in_pieces_and_has_the_bits_of_the_whole(large):
    done, written, steps = edited(large, 0.3)
    base, donor = (tiny.load_tensors(checkpoint.folder)[NAME] for checkpoint in large)
    expected = inject(NAME, base, [donor], [0.3])
    assert written == expected.view(torch.uint8).numpy().tobytes()
    assert len(steps) == 3 and sum(steps) == len(written)
    assert done.hashes == (xxh3_128_hexdigest(written), sha256(written).hexdigest())
    moved = expected.double() - base.double()
    assert done.sums.realised == pytest.approx(float(moved.square().sum()), rel=1e-6)


def test_a_weight_of_zero_hands_on_the_bases_very_bytes(large):
    done, written, _ = edited(large, 0.0)
    base = tiny.load_tensors(large[0].folder)[NAME]
    assert written == base.view(torch.uint8).numpy().tobytes()
    assert done.sums == EditSums(values=done.task.base.n_values)


def test_an_edit_that_the_stored_type_cannot_hold_is_refused(large):
    with pytest.raises(MergeError, match=f"{NAME}: the edit overflows bfloat16; lower the weight"):
        edited(large, 3e38)
