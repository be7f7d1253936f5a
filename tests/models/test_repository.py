"""What is asked of the Hub is a repository's id and a plain file inside it."""

import pytest

from sae_merge_method.errors import ModelError, SaeMergeError
from sae_merge_method.models.repository import fetch_address, fetch_file, is_hub_id


@pytest.mark.parametrize("text", ["../evil", "a/../b", "a/b/c", "/etc", "a b", "ä/b", "a\n"])
def test_what_could_lead_elsewhere_is_no_hub_id(text):
    assert not is_hub_id(text)


@pytest.mark.parametrize(
    "address",
    [
        "hf://me/base",
        "hf://../base/x.yml",
        "hf://me/../x.yml",
        "hf://me/base/../../x.yml",
        "hf://me/base//etc/x",
    ],
)
def test_an_address_that_leads_elsewhere_is_refused_before_any_request(address):
    with pytest.raises(SaeMergeError, match="expected"):
        fetch_address(address)


@pytest.mark.parametrize(
    ("repository", "name", "message"),
    [
        (
            "/nowhere/merged",
            "config.json",
            "expected a folder, or owner/name on the Hub: /nowhere/merged is neither",
        ),
        ("owner/name", "../config.json", r"expected a file inside owner/name, got '\.\./config\.json'"),
    ],
)
def test_a_name_that_is_no_repository_and_a_file_that_leads_elsewhere_are_told_apart(
    repository, name, message
):
    with pytest.raises(ModelError, match=message):
        fetch_file(repository, name)
