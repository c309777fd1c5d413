"""What PortBroker uses of aiohttp's server: the low level, and nothing of its application framework.

`aiohttp.web` has the same names, and a router, static files and templates of errors beside them, which cost a megabyte
and thirty milliseconds of every start. The one rule: all that serves imports aiohttp's server from here.
"""

from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server

__all__ = ["BaseRequest", "RequestHandler", "RequestPayloadError", "Server", "StreamResponse"]
