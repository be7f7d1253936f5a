"""A Hub that is started once, and holds what each test is told of."""

from collections.abc import Iterator

import pytest

from tests.hub_server import Hub, serve
from tests.merged import Merged


@pytest.fixture(scope="session")
def hub_server() -> Iterator[Hub]:
    """A Hub on loopback, with whatever the last test left."""
    with serve() as hub:
        yield hub


@pytest.fixture
def hub(hub_server: Hub, merged: Merged) -> Hub:
    """A Hub that was asked for nothing yet and holds the base and the donor of the merged model."""
    hub_server.repositories.clear()
    hub_server.requests.clear()
    hub_server.upload("me/base", merged.base)
    hub_server.upload("me/donor", merged.donor)
    return hub_server
