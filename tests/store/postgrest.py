"""A part of PostgREST, as Supabase puts it before its PostgreSQL: enough for the real client to work against.

The database behind it is real, and so are its roles, grants, row security and functions: each request is a transaction
in the role that its key stands for. What is not here answers 501, so that no test passes because of it.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import jwt
from aiohttp import web

SECRET = "a-secret-of-the-project-for-tests-only-0123456789"
KEYS = {"sb_secret_for_tests": "service_role", "sb_publishable_for_tests": "anon"}

ROLES = """
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOINHERIT', name);
        END IF;
    END LOOP;
    ALTER ROLE service_role BYPASSRLS;
END
$$
"""
"""The roles of every Supabase project."""


def key_of(role: str, secret: str = SECRET) -> str:
    """A key of the older kind: a JWT of this role."""
    return jwt.encode({"iss": "supabase", "role": role}, secret, algorithm="HS256")


@dataclass
class Project:
    """What answers, and how it is set up."""

    database: str
    exposed: set[str] = field(default_factory=lambda: {"public", "portbroker"})
    url: str = ""
    requests: int = 0
    pool: "asyncpg.Pool[Any] | None" = None

    async def handle(self, request: web.Request) -> web.Response:
        self.requests += 1
        try:
            role, profile = self._role(request), self._profile(request)
            assert self.pool is not None
            async with self.pool.acquire() as connection, connection.transaction():
                await connection.execute(f'SET LOCAL ROLE "{role}"')
                return await self._answer(request, connection, profile)
        except _Refused as refused:
            return refused.answer()
        except asyncpg.PostgresError as error:
            return _of_postgres(error).answer()

    def _role(self, request: web.Request) -> str:
        """The role that the key stands for, as the gateway of a project and PostgREST find it out."""
        key = request.headers.get("apikey", "")
        if not key:
            raise _Refused(401, None, "No API key found in request")
        if key in KEYS:
            return KEYS[key]
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            return str(jwt.decode(token, SECRET, algorithms=["HS256"])["role"])
        except jwt.InvalidSignatureError:
            raise _Refused(401, "PGRST301", "No suitable key or wrong key type") from None
        except jwt.InvalidTokenError:
            raise _Refused(401, None, "Invalid API key") from None

    def _profile(self, request: web.Request) -> str:
        """The schema that is asked for."""
        profile = request.headers.get("Accept-Profile" if request.method == "GET" else "Content-Profile", "public")
        if profile not in self.exposed:
            raise _Refused(406, "PGRST106", f"The schema must be one of the following: {', '.join(self.exposed)}")
        return profile

    async def _answer(self, request: web.Request, connection: Any, profile: str) -> web.Response:
        steps = request.path.removeprefix("/rest/v1/").split("/")
        match request.method, steps:
            case "POST", ["rpc", name]:
                return await self._function(connection, profile, name, await request.json())
            case "DELETE", [table]:
                return await self._delete(connection, profile, table, dict(request.query))
        raise _Refused(501, None, f"{request.method} {request.path} is no part of this server")

    async def _function(self, connection: Any, profile: str, name: str, body: dict[str, Any]) -> web.Response:
        known = (
            "SELECT 1 FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = $1 AND proname = $2"
        )
        if not await connection.fetchval(known, profile, name) or set(body) != {"arguments"}:
            raise _Refused(
                404, "PGRST202", f"Could not find the function {profile}.{name}(arguments) in the schema cache"
            )
        call = f'SELECT to_json("{profile}"."{name}"($1::json::jsonb))::text'
        found = await connection.fetchval(call, json.dumps(body["arguments"]))
        return web.Response(text=found or "null", content_type="application/json")

    async def _delete(self, connection: Any, profile: str, table: str, query: dict[str, str]) -> web.Response:
        ((column, condition),) = query.items()
        if not condition.startswith("neq."):
            raise _Refused(501, None, f"`{condition}` is no part of this server")
        await connection.execute(f'DELETE FROM "{profile}"."{table}" WHERE "{column}" <> $1', condition[4:])
        return web.Response(text="[]", content_type="application/json")


class _Refused(Exception):
    def __init__(self, status: int, code: str | None, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    def answer(self) -> web.Response:
        body = {"code": self.code, "message": str(self), "details": None, "hint": None}
        return web.json_response(body, status=self.status)


_STATUSES = {"23505": 409, "23503": 409, "42501": 403, "42P01": 404, "42883": 404, "40001": 500, "57014": 500,
             "53": 503, "08": 503, "22": 400, "23": 400, "P0001": 400}  # fmt: skip


def _of_postgres(error: asyncpg.PostgresError) -> _Refused:
    code = str(getattr(error, "sqlstate", ""))
    status = _STATUSES.get(code) or _STATUSES.get(code[:2], 400)
    return _Refused(status, code, str(error).partition("\n")[0])


@contextlib.asynccontextmanager
async def project(database: str, port: int = 0) -> AsyncIterator[Project]:
    """A project whose database is at this URL, until the context ends."""
    this = Project(database)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", this.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    async with asyncpg.create_pool(database, min_size=1, max_size=20, statement_cache_size=0) as this.pool:
        await site.start()
        this.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield this
        finally:
            await runner.cleanup()
