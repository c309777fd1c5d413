"""Endpoints beside the calls that dialects translate: embeddings, images, audio and the like.

They are passed on to providers that have them, with the model replaced and nothing else. The one rule: this table is
all there is to know of an endpoint; which provider has which is said in its preset or in the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from portbroker.config.model import EndpointName
from portbroker.dialects import Dialect
from portbroker.dialects.registry import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES

ENDPOINT_NAMES: tuple[EndpointName, ...] = get_args(EndpointName)
_COUNTS = frozenset({"messages/count_tokens", "responses/input_tokens"})
_PREFIXES = {"messages": ANTHROPIC_MESSAGES, "responses": OPENAI_RESPONSES}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of them. `path` follows a provider's base URL; errors are told, and bodies passed on, as `dialect` has it.

    `counts`: it counts tokens, which the gateway does itself where the provider does not. `of_calls`: it takes what
    the dialect's own calls take.
    """

    name: EndpointName
    path: str
    dialect: Dialect
    counts: bool
    of_calls: bool


def _endpoint(name: EndpointName) -> Endpoint:
    prefix = name.partition("/")[0]
    return Endpoint(name, f"/{name}", _PREFIXES.get(prefix, OPENAI_CHAT), name in _COUNTS, prefix in _PREFIXES)


ENDPOINTS: Mapping[str, Endpoint] = {f"/v1/{name}": _endpoint(name) for name in ENDPOINT_NAMES} | {
    "/api/anthropic/v1/messages/count_tokens": _endpoint("messages/count_tokens"),
}
"""By the path that clients call."""
