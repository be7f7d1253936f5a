"""``sae-merge verify`` as a user types it."""

from click.testing import CliRunner

from sae_merge_method.cli.verify import command
from tests.verify.conftest import Q_PROJ, flip_one_bit, rewrite


def test_the_command_ends_with_1_where_something_is_violated(tmp_path, merged):
    sound = CliRunner().invoke(command, [str(merged.out)])
    assert sound.exit_code == 0 and "VIOLATED" not in sound.output
    out = rewrite(merged.copy(tmp_path / "out"), flip_one_bit(Q_PROJ))
    broken = CliRunner().invoke(command, [str(out)])
    assert broken.exit_code == 1
    assert f"VIOLATED    {Q_PROJ}: 1 values differ" in broken.output
