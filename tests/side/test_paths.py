"""The path that a client means, however its base URL was given."""

import pytest

from portbroker.side.paths import meant_path

SERVED = {"/", "/v1/messages", "/v1/models", "/api/anthropic/v1/messages", "/team/v1/messages", "/responses"}


def served(path: str) -> bool:
    return path in SERVED or path.startswith("/v1/models/")


@pytest.mark.parametrize(
    ("asked", "meant"),
    {
        "/v1/messages": "/v1/messages",
        "/v1/v1/messages": "/v1/messages",
        "/v1/v1/v1/messages": "/v1/messages",
        "/messages": "/v1/messages",
        "/v1/messages/": "/v1/messages",
        "//v1/messages": "/v1/messages",
        "/v1//messages//": "/v1/messages",
        "/api/anthropic/messages": "/api/anthropic/v1/messages",
        "/api/anthropic/v1/v1/messages": "/api/anthropic/v1/messages",
        "/team/v1/v1/messages": "/team/v1/messages",
        "/models": "/v1/models",
        "/models/vendor/model": "/v1/models/vendor/model",
        "/v1/models/a//b": "/v1/models/a//b",
        "//": "/",
        "": "/",
    }.items(),
)
def test_a_path_means_what_is_served(asked: str, meant: str) -> None:
    assert meant_path(asked, served) == meant


def test_a_path_that_is_served_is_no_other() -> None:
    assert meant_path("/responses", lambda path: path in {"/responses", "/v1/responses"}) == "/responses"


@pytest.mark.parametrize(
    "asked",
    ["/v2/messages", "/v1", "/v1/", "/v1/message", "/V1/messages", "/v1/%6dessages", "/v1/../v1/messages", "/" * 5000],
)
def test_a_path_that_means_nothing_stays_as_it_is(asked: str) -> None:
    assert meant_path(asked, _not_root) == asked


def _not_root(path: str) -> bool:
    return served(path) and path != "/"
