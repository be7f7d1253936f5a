"""CITATION.cff, CHANGELOG and the package name one version."""

import re

import yaml

import sae_merge_method
from tests.docs.blocks import ROOT


def test_what_is_cited_is_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()  # what the format asks for
    assert cited["version"] == sae_merge_method.__version__
    assert cited["license"] == "Apache-2.0"


def test_the_newest_changes_are_to_come_or_of_this_version():
    to_come, newest, *_ = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert (to_come, newest) == ("Unreleased", sae_merge_method.__version__)
