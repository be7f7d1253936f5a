"""Whatever a host raises reaches the user as one of our errors, and nothing else is touched."""

import pytest

from sae_merge_method.errors import MergeError, RecipeError
from sae_merge_method.hosts.calls import guarded_call


def raises(error: BaseException) -> object:
    def call(*args: object, **given: object) -> None:
        raise error

    return call


def test_what_the_host_returns_is_returned():
    assert guarded_call("sorting", sorted, [2, 3, 1], reverse=True) == [3, 2, 1]


def test_a_hosts_error_names_what_was_being_done():
    with pytest.raises(MergeError, match="mergekit failed: KeyError: 'layer'"):
        guarded_call("mergekit", raises(KeyError("layer")))


@pytest.mark.parametrize("error", [RecipeError("ours"), KeyboardInterrupt()])
def test_our_errors_and_an_interrupt_pass_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        guarded_call("mergekit", raises(error))
    assert caught.value is error
