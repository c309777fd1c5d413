"""Routes: the paths that clients call.

The one rule: a path has one route, and those that PortBroker answers itself have none.
"""

from collections.abc import Sequence

from portbroker.compile.faults import Faults
from portbroker.config.model import RouteConfig
from portbroker.dialects.registry import DIALECTS
from portbroker.endpoints import ENDPOINTS
from portbroker.snapshot import Route

_RESERVED = frozenset({"/", "/health", "/v1/models", *ENDPOINTS})
"""Paths that PortBroker answers itself."""


def compile_routes(declared: Sequence[RouteConfig], faults: Faults) -> dict[str, Route]:
    """The routes by their path."""
    routes: dict[str, Route] = {}
    for index, route in enumerate(declared):
        at = ("routes", index, "path")
        if route.path in routes:
            faults.add(at, f"the path {route.path} is declared twice", "each path has one route")
        elif route.path in _RESERVED:
            faults.add(at, f"{route.path} is answered by PortBroker itself", "choose another path")
        else:
            routes[route.path] = Route(route.path, DIALECTS[route.dialect], route.on_loss)
    return routes
