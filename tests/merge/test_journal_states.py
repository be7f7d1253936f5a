"""Edit and undo as one machine: killed or joined at any write, rename or sync, it ends in base or edited bytes."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sae_merge_method.errors import ArtifactError, InUseError, MergeError, ModelError
from sae_merge_method.files.lock import locked, who_edits
from sae_merge_method.merge.undo import undo
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER, open_checkpoint
from tests.merge.edited_in_place import edit, sharded_base, state
from tests.merge.steps import joined_at, killed_at
from tests.recipes import recipe_text


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import tiny

    root = tmp_path_factory.mktemp("states")
    sharded_base(root)
    tiny.gemma3_text(root / "donor", 1)
    shutil.copytree(root / "base", root / "edited")
    edit(recipe_text(root / "edited", root / "donor", weight="0.5"))
    return root


class InPlace(RuleBasedStateMachine):
    """A user, his kills and his own files, on one folder."""

    models: Path
    work: Path
    number = 0

    @initialize()
    def lay_out(self) -> None:
        type(self).number += 1
        self.work = self.models / f"run-{self.number}"
        shutil.copytree(self.models / "base", self.work / "base")
        self.base = self.work / "base"
        self.before = state(self.base)
        self.unedited, self.edited = weights(self.base), weights(self.models / "edited")
        self.recipe = recipe_text(self.base, self.models / "donor", weight="0.5")
        self.users: list[str] = []
        self.backup: tuple[Path, dict[str, bytes]] | None = None

    def teardown(self) -> None:
        if hasattr(self, "base"):
            if (self.base / JOURNAL_FOLDER / "journal.json").exists():
                undo(self.base)
            after = state(self.base)
            for name, data in self.before.items():
                if not (name == "README.md" and self.users):
                    assert after[name] == data, name
            self.nothing_is_lost()
            shutil.rmtree(self.work)

    @rule(step=st.integers(1, 140))
    def edit_killed(self, step: int) -> None:
        with killed_at(step):
            self.edit_whole()

    @rule()
    def edit_whole(self) -> None:
        try:
            edit(self.recipe)
        except (MergeError, ModelError) as error:
            assert any(
                word in str(error) for word in ("edited in place before", "half-edited", "hard links")
            ), error
        else:
            assert weights(self.base) == self.edited

    @rule(step=st.integers(1, 110))
    def undo_killed(self, step: int) -> None:
        with killed_at(step):
            self.undo_whole()

    @rule()
    def undo_whole(self) -> None:
        try:
            undo(self.base)
        except ArtifactError as error:
            assert "nothing to undo" in str(error)
        assert weights(self.base) == self.unedited

    @rule(
        step=st.integers(1, 140),
        first=st.sampled_from(["edit", "undo"]),
        second=st.sampled_from(["edit", "undo", "card"]),
    )
    def with_a_second_process(self, step: int, first: str, second: str) -> None:
        with joined_at(step, lambda: self.come_second(second)):
            try:
                edit(self.recipe) if first == "edit" else undo(self.base)
            except (MergeError, ModelError, ArtifactError) as error:
                assert any(
                    words in str(error)
                    for words in ("edited in place before", "half-edited", "hard links", "nothing to undo")
                ), error

    def come_second(self, what: str) -> None:
        """Do what is asked, or be told who is at work; advice to undo is for who is alone with the folder."""
        is_held = who_edits(self.base) is not None
        try:
            if what == "card":
                with locked(self.base):
                    self.write_a_card()
            else:
                edit(self.recipe) if what == "edit" else undo(self.base)
        except InUseError as error:
            assert f"is being edited by process {os.getpid()} " in str(error)
            assert is_held
        except (MergeError, ModelError, ArtifactError) as error:
            assert not is_held, error
        else:
            assert not is_held

    @rule()
    def write_a_card(self) -> None:
        """As ``sae-merge card`` does: a new file in the place of the old one."""
        self.users.append(f"card {len(self.users)}")
        (self.base / "README.md").unlink(missing_ok=True)
        (self.base / "README.md").write_text("\n".join(self.users))

    @precondition(lambda self: self.backup is None)
    @rule()
    def link(self) -> None:
        folder = self.work / "backup"
        folder.mkdir()
        for name in self.unedited:
            (folder / name).hardlink_to(self.base / name)
        self.backup = folder, weights(folder)

    @precondition(lambda self: self.backup is not None)
    @rule()
    def drop_the_link(self) -> None:
        shutil.rmtree(self.work / "backup")
        self.backup = None

    @invariant()
    def what_can_be_loaded_is_the_base_or_the_edit(self) -> None:
        if hasattr(self, "base"):
            try:
                open_checkpoint(self.base)
            except ModelError as error:
                assert "left half-edited" in str(error), error
            else:
                assert weights(self.base) in (self.unedited, self.edited)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "base"):
            # A card older than the edit waits in the journal.
            folders = (self.base, self.base / JOURNAL_FOLDER / "kept")
            texts = [path.read_text() for folder in folders for path in folder.glob("README.md*")]
            assert not self.users or "\n".join(self.users) in texts
            if self.backup is not None:
                assert weights(self.backup[0]) == self.backup[1]


def test_edit_and_undo_killed_anywhere_end_in_the_base_or_the_edit_with_the_users_files(models):
    class Here(InPlace):
        pass

    Here.models = models
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=12,
            stateful_step_count=8,
            phases=[Phase.generate],  # to shrink what fails, add Phase.shrink
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_undo_killed_at_every_step_one_after_the_other_still_gives_the_base(models, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(models / "base", base)
    before = state(base)
    edit(recipe_text(base, models / "donor", weight="0.5"))
    for step in range(1, 200):
        with killed_at(step):
            undo(base)
            break
    else:
        pytest.fail("undo never came to its end")
    assert step > 30
    assert state(base) == before


@pytest.mark.parametrize("second", ["edit", "undo"])
def test_a_second_process_at_any_step_of_an_edit_is_refused_or_comes_before_it(models, tmp_path, second):
    base = tmp_path / "base"
    shutil.copytree(models / "base", base)
    before, edited = state(base), weights(models / "edited")
    recipe = recipe_text(base, models / "donor", weight="0.5")
    refused = 0

    def come() -> None:
        nonlocal refused
        try:
            edit(recipe) if second == "edit" else undo(base)
        except InUseError:
            refused += 1
        except ArtifactError as error:
            assert "nothing to undo" in str(error)

    for step in (1, 2, 4, 6, 8, 10, *range(20, 110, 15)):
        with joined_at(step, come), suppress(MergeError):  # edited before: by the second
            edit(recipe)
        assert weights(base) == edited
        undo(base)
        assert state(base) == before
    assert refused > 5
