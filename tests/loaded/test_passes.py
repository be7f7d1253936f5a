"""Blocks that are run otherwise within a pass, and as before after it."""

import pytest
import torch

from sae_merge_method.loaded.passes import checkpointed, handing_on


def own_and_class_s():
    """One block with a forward of its own, as a module spread over devices has it, and one without."""
    blocks = [torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)]
    own = blocks[0].forward
    blocks[0].forward = own
    return blocks, own


@pytest.mark.parametrize("otherwise", [checkpointed, lambda blocks: handing_on(blocks, "kept")])
def test_a_block_has_its_own_forward_again_after_a_pass_that_fails_too(otherwise):
    blocks, own = own_and_class_s()
    with pytest.raises(OSError, match="gone"), otherwise(blocks):
        assert all(block.__dict__["forward"] is not own for block in blocks)
        raise OSError("gone")
    assert blocks[0].__dict__["forward"] is own
    assert "forward" not in blocks[1].__dict__


def test_blocks_hand_on_what_they_are_given_whatever_comes_in():
    blocks, _ = own_and_class_s()
    with handing_on(blocks[:1], (kept := torch.ones(3), None)):
        assert blocks[0](torch.zeros(7, 2), mask=None)[0] is kept
        assert blocks[1](torch.zeros(7, 2)).shape == (7, 2)
