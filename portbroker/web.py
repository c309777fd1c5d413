"""A request by the name that it had under aiohttp. The one rule: whoever is touched imports `request` instead."""

from portbroker.request import Request as BaseRequest

__all__ = ["BaseRequest"]
