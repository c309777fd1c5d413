"""`/admin/config`: what is served and how the last reload went, and a reload that says what came of it.

The one rule: a reload is the same whoever sets it off: all of the file, in every worker, or none of it.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from portbroker.admin.endpoints import Answer, Asked, Endpoint, Refusal
from portbroker.admin.forms import Query
from portbroker.admin.parts import Configuration
from portbroker.errors import PortBrokerError
from portbroker.status import LastReload

Told = TypeVar("Told")


class ProblemShown(BaseModel):
    """One fault; line and column count from 1, and 0 is the file as a whole."""

    model_config = ConfigDict(title="Problem")

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str


class ReloadShown(BaseModel):
    """One try to serve the file."""

    model_config = ConfigDict(title="Last reload")

    at: str = Field(json_schema_extra={"format": "date-time"})
    succeeded: bool
    cause: str = Field(description="What set it off.")
    revision: str | None = Field(description="The file's.")
    problems: list[ProblemShown]
    restart: list[str] = Field(description="Fields whose change is only served after a restart.")
    changes: list[str] = Field(description="What it changes for callers.")
    served: bool = Field(description="Whether it is what is served since. False when nothing had changed.")


class ReturnedShown(BaseModel):
    """A revision that was served, and returned from."""

    model_config = ConfigDict(title="Returned from")

    revision: str
    to: str
    at: str = Field(json_schema_extra={"format": "date-time"})
    why: str


class WorkerShown(BaseModel):
    """A process that serves; `revision` is null as long as it does not."""

    model_config = ConfigDict(title="Worker")

    process: int
    revision: str | None
    started_at: str = Field(json_schema_extra={"format": "date-time"})


class ConfigurationShown(BaseModel):
    """What is served, and what the file has."""

    model_config = ConfigDict(title="Configuration")

    file: str
    revision: str
    loaded_at: str = Field(json_schema_extra={"format": "date-time"})
    file_revision: str | None = Field(description="What the file had at the last look; null when it had none.")
    in_sync: bool = Field(description="Whether the two are the same.")
    guarded_until: str | None
    returned: ReturnedShown | None
    last_reload: ReloadShown | None
    workers: list[WorkerShown]


class ReloadQuery(Query):
    """How to reload."""

    dry_run: bool = Field(False, description="Say what would come of it, and serve nothing.")


class ConfigurationPage:
    """The file that is served."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("GET", "/admin/config", self.show, "What is served, by whom, and how the last reload went.",
                     {200: ConfigurationShown}, fails=_FAILS, tag="config"),
            Endpoint("POST", "/admin/config/reload", self.reload, "Read the file again, and serve it if it is good.",
                     {200: ReloadShown}, query=ReloadQuery, fails={**_FAILS, **_FAULTS}, tag="config"),
        )  # fmt: skip

    async def show(self, _: Asked) -> Answer:
        told = await known(self._configuration.told())
        return Answer(ConfigurationShown(file=str(self._configuration.path), **told))

    async def reload(self, asked: Asked) -> Answer:
        cause = f"POST /admin/config/reload by {asked.who.name}"
        last = await self._configuration.reload(cause, dry=asked.query.dry_run)
        if not last.succeeded:
            raise Refusal(422, "invalid", _said(last), more={"problems": _problems(last)})
        return Answer(ReloadShown(**last.told()))


_FAILS: Mapping[int, str] = {503: "The process that reads the file does not answer."}
_FAULTS: Mapping[int, str] = {422: "The file cannot be served; `problems` has every fault. What was served goes on."}


async def known(told: Awaitable[Told]) -> Told:
    """What is told. Raises `Refusal` (503) when nobody can say."""
    try:
        return await told
    except PortBrokerError as error:
        raise Refusal(503, "overloaded", str(error), headers={"retry-after": "1"}) from error


def _said(last: LastReload) -> str:
    problems = last.problems
    more = f", and {len(problems) - 1} problems more" if len(problems) > 1 else ""
    return f"the file cannot be served: {problems[0]}{more}" if problems else "the file cannot be served"


def _problems(last: LastReload) -> list[dict[str, Any]]:
    return [problem.plain() for problem in last.problems]
