"""CITATION.cff names the version of the package."""

import yaml

import sae_merge_method
from tests.docs.blocks import ROOT


def test_what_is_cited_is_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()  # what the format asks for
    assert cited["version"] == sae_merge_method.__version__
    assert cited["license"] == "Apache-2.0"
