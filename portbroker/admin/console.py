"""`GET /admin`: a page for people, which does what it does by the admin API and nothing else.

It is open, because it holds nothing: whoever uses it signs in. The one rule: the page runs the script and the style
that are in it, and nothing from anywhere else, whatever a name or a message says.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from portbroker.admin.endpoints import Answer, Asked, Endpoint

HTML = "text/html; charset=utf-8"
_FILE = Path(__file__).parent / "console.html"
_INSIDE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


class Console:
    """The page."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        html = {"text/html": "The page."}
        return (
            Endpoint("GET", "/admin", self.show, "A page for people, who sign in there.", {200: None}, open=True,
                     also=html, tag="about"),
        )  # fmt: skip

    async def show(self, _: Asked) -> Answer:
        return Answer(_page(), headers=_headers(), content_type=HTML)


@cache
def _page() -> bytes:
    return _FILE.read_bytes()


@cache
def _headers() -> dict[str, str]:
    hashes: dict[bytes, str] = {name: _hash(text) for name, text in _INSIDE.findall(_page())}
    return {
        "content-security-policy": (
            f"default-src 'none'; script-src {hashes[b'script']}; style-src {hashes[b'style']}; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        ),
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }


def _hash(text: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
