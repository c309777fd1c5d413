"""What is secret stays where it is kept: not in a log, not in a file, not in an answer; and no weak one is taken."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.admin.calls import Admin
from tests.providers import answers, serving

ADMIN = "/admin/api-keys"


@contextmanager
def process(directory: Path, **variables: str) -> Iterator["Process"]:
    """A gateway as a user starts it, with every line of its log; its first admin key is the one in `variables`."""
    environ = {**os.environ, "PORT": "0", **variables}
    log = directory / "log.txt"
    command = [sys.executable, "-m", "portbroker", "serve", "--log", "all"]
    with log.open("w") as out, subprocess.Popen(command, cwd=directory, env=environ, stderr=out, stdout=out) as running:
        try:
            yield Process(running, log)
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(30)


class Process:
    """A process that serves."""

    def __init__(self, running: "subprocess.Popen[bytes]", log: Path) -> None:
        self._running, self.log = running, log

    async def url(self) -> str:
        """Where it serves, as soon as its keys are known."""
        async with asyncio.timeout(30):
            while "keys and usage are in" not in (said := self.log.read_text()) or "serving http" not in said:
                assert self._running.poll() is None, said
                await asyncio.sleep(0.02)
        return next(word.rstrip(",") for word in said.split() if word.startswith("http"))


ADMIN_KEY = "pb-" + "A1b2C3d4" * 6
PROMPT = "a prompt that is nobody's business"


async def test_no_secret_and_no_prompt_is_in_any_log_or_file(tmp_path: Path) -> None:
    async with serving(answers({"error": {"message": "no: sk-provider-secret-1234567890"}}, 401)) as provider:
        (tmp_path / "portbroker.yaml").write_text("providers: []\n")
        with process(tmp_path, PORTBROKER_ADMIN_KEY=ADMIN_KEY) as gateway:
            url = await gateway.url()
            async with aiohttp.ClientSession() as session:
                admin = Admin(session, url, ADMIN_KEY)
                made = (await admin.post(ADMIN, {"name": "team"})).json
                rotated = (await admin.post(f"{ADMIN}/{made['id']}/rotate", {"overlap_seconds": 60})).json
                token = (await admin.signed_out().post("/admin/login", {"key": ADMIN_KEY})).json["token"]
                body = {"name": "P", "base_url": f"{provider.url}/v1", "api_key": "sk-provider-secret-1234567890",
                        "small_model": "m"}  # fmt: skip
                assert (await admin.as_(token).post("/admin/providers", body)).status == 201
                ask = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]}
                answered = await admin.as_(made["key"]).post("/v1/messages", ask)
                assert answered.status in (401, 403, 502, 503)
                assert b"sk-provider-secret" not in answered.raw
                await admin.as_("pb-" + "wrongkey" * 5).get(ADMIN)
                await admin.post("/admin/providers/P/test", {})
                for path in ("/", "/health", "/v1/models", "/metrics", ADMIN, "/admin/providers", "/admin/health",
                             "/admin/audit", "/admin/usage/calls", "/admin/config"):  # fmt: skip
                    raw = (await admin.get(path)).raw
                    assert b"sk-provider-secret" not in raw, path
                    assert PROMPT.encode() not in raw, path
        secrets = [
            ADMIN_KEY,
            made["key"],
            rotated["key"],
            token,
            "sk-provider-secret-1234567890",
            "wrongkey" * 5,
            PROMPT,
        ]
        kept = {found: found.read_bytes() for found in sorted(tmp_path.rglob("*")) if found.is_file()}
        assert any(found.name == "portbroker.db" for found in kept)
        for found, raw in kept.items():
            for secret in secrets:
                where = secret == "sk-provider-secret-1234567890" and found.name == "secrets.yaml"
                assert secret.encode() not in raw or where, f"{secret[:12]} is in {found.name}"
            if found.parent.name == ".portbroker" and found.name != ".gitignore":
                assert found.stat().st_mode & 0o077 == 0, f"{found.name} can be read by others"


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_a_secret_that_is_set_and_too_weak_is_no_start(tmp_path: Path, secret: str) -> None:
    (tmp_path / "portbroker.yaml").write_text("providers: []\n")
    command, environ = [sys.executable, "-m", "portbroker", "serve"], {**os.environ, "SECRET_KEY": secret, "PORT": "0"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "SECRET_KEY must have 32 bytes at least" in done.stderr
