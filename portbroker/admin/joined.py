"""The whole admin API. One rule: what is not joined here is not served."""

from portbroker.admin.api import Api
from portbroker.admin.parts import Parts, Section
from portbroker.admin.signin import LocalToken, SignIn


def joined(parts: Parts) -> Api:
    """The API over these parts."""
    sections: list[Section] = []
    endpoints = [endpoint for section in sections for endpoint in section.endpoints()]
    return Api(endpoints, SignIn(LocalToken(parts.token)), parts.gateway)
