"""The page at /admin holds nothing, loads nothing, and runs nothing but itself."""

import base64
import hashlib
import re

from portbroker.admin.console import _page
from tests.admin.calls import Admin, admin_of

PAGE = _page().decode()
SCRIPT = PAGE.partition("<script>")[2].partition("</script>")[0]


async def test_the_page_is_shown_to_anyone_and_kept_by_nobody() -> None:
    async with admin_of() as admin:
        answered = await admin.signed_out().get("/admin")
        assert answered.status == 200
        assert answered.raw == _page()
        assert answered.headers["content-type"] == "text/html; charset=utf-8"
        assert answered.headers["cache-control"] == "no-store"
        assert answered.headers["x-frame-options"] == "DENY"
        assert answered.headers["x-content-type-options"] == "nosniff"


async def test_only_what_is_in_the_page_may_run() -> None:
    async with admin_of() as admin:
        policy = (await admin.get("/admin")).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for name in ("script", "style"):
        (text,) = re.findall(rf"<{name}>(.*?)</{name}>", PAGE, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"
    assert (rules["default-src"], rules["connect-src"], rules["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_loads_nothing_from_anywhere() -> None:
    assert re.findall(r"https?:|//[a-z]+\.|<link|<img|<iframe|@import|url\(", PAGE) == []
    assert re.findall(r"<script[^>]+>|\bstyle=|\son\w+=\"", PAGE) == []


def test_no_text_of_others_is_read_as_markup_or_as_a_program() -> None:
    words = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|DOMParser|srcdoc|javascript:"
    assert re.findall(words, SCRIPT) == []


async def test_all_that_the_page_asks_is_served(admin: Admin) -> None:
    described = (await admin.get("/admin/openapi.json")).json["paths"]
    asked = {path.rstrip("/") for path in re.findall(r'"(/admin/[a-z/.-]+)', SCRIPT)}
    with_a_file = {"/admin/config", "/admin/config/reload", "/admin/providers"}
    assert asked - with_a_file <= set(described)
    assert with_a_file <= asked
