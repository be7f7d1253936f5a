"""What the command says of its arms: of which rounding leaves too little, by the rule of every warning."""

import pytest

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.realised import Realised, swallowed_note
from sae_merge_method.controls.show import arms_notes


def arm(name: str, kept: float, cosine: float) -> ArmIdentity:
    edit = Realised(
        intended_energy=1.0, energy=kept, component=cosine * kept**0.5, cosine=cosine, changed=0.5
    )
    return ArmIdentity(
        name=name, role="amount", description="", method="sae_stethoscope", layers=(1,), weight=1.0,
        planned_energy=1.0, planned_realised=edit, matched=None,
    )  # fmt: skip


def warnings(arms: list[ArmIdentity], kind: str) -> list[str]:
    return [line for line in arms_notes(arms, kind) if line.startswith("warning")]


@pytest.mark.parametrize("kind", ["nearest", "stochastic"])
@pytest.mark.parametrize(
    ("kept", "cosine"), [(0.85, 0.97), (1.25, 0.84), (1.0, 1.0), (0.5, 0.8), (9.0, 0.33)]
)
def test_controls_warn_where_a_merge_does(kept, cosine, kind):
    one = arm("damped-0.25", kept, cosine)
    note = swallowed_note(one.planned_realised, kind)
    assert warnings([one], kind) == ([] if note is None else [f"warning: Of damped-0.25, {note}."])


def test_all_arms_of_which_too_little_is_left_are_named():
    (line,) = warnings([arm("a", 0.5, 0.7), arm("whole", 1.0, 1.0), arm("b", 0.6, 0.9)], "nearest")
    assert line.startswith("warning: Of a, rounding to the stored dtype (nearest) leaves of the edit 50%")
    assert line.endswith("Likewise b.")
