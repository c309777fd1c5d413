"""`GET /metrics`: what was counted, for Prometheus.

The one rule: who asks from this machine itself needs no credential, and is mostly answered before it comes here;
everybody else shows an admin's.
"""

from portbroker.admin.configuration import known
from portbroker.admin.endpoints import Answer, Asked, Endpoint
from portbroker.admin.parts import Parts
from portbroker.admin.scrape import PATH, is_here, page
from portbroker.admin.signin import SignIn


class MetricsPage:
    """All series of all workers."""

    def __init__(self, parts: Parts, sign_in: SignIn) -> None:
        self._parts = parts
        self._sign_in = sign_in

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("GET", PATH, self.show, "What was counted, in the text format of Prometheus.", {200: None},
                     open=True, also={"text/plain": "The text format."}, tag="metrics",
                     fails={401: "Not from this machine, and without an admin's credential.",
                            503: "The supervisor of the workers does not answer."}),
        )  # fmt: skip

    async def show(self, asked: Asked) -> Answer:
        if not is_here(asked.headers, asked.remote):
            await self._sign_in.identify(asked.headers, asked.remote)
        told, content_type = await known(page(self._parts, asked.headers.get("accept", "")))
        return Answer(told, content_type=content_type)
