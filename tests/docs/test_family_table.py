"""The table of families for the manual has every row of the registry, and each type that tests read by names."""

from sae_merge_method.models.families import FAMILIES, family_of
from sae_merge_method.reports.grid import as_markdown
from tests.docs.blocks import DOCS
from tests.layouts import test_twelve_families as twelve


def test_the_table_has_every_family_and_every_type_that_is_tried_without_a_row(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from family_table import BY_NAMES, family_grid

    shown = as_markdown(family_grid())
    assert len(shown.splitlines()) == 2 + len(FAMILIES) + len(BY_NAMES)
    assert all(f"{name}" in shown for name in (*FAMILIES, *BY_NAMES))
    assert set(BY_NAMES) == {name for name in twelve.FAMILIES if family_of(name) is None}
