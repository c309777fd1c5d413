"""The table of the admin API. One rule: it is read from a gateway that serves it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.admin.calls import admin_of_file, kept_in
from tests.generated.regions import table


def _endpoints() -> str:
    return table(("asks", "of", "for"), asyncio.run(_rows()))


async def _rows() -> list[tuple[str, ...]]:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "portbroker.yaml"
        file.write_text("providers: []\n")
        async with kept_in(Path(directory)) as kept, admin_of_file(file, kept=kept) as admin:
            paths = (await admin.get("/admin/openapi.json")).json["paths"]
    return [
        (f"`{method.upper()}`", f"`{path}`", row["summary"])
        for path, methods in sorted(paths.items())
        for method, row in methods.items()
    ]


TABLES: dict[str, Callable[[], str]] = {"endpoints of the admin API": _endpoints}
