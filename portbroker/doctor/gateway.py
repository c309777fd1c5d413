"""The gateway itself: whether it is there, whether it is ours, and whether it serves the file as it is."""

from portbroker.connect.asking import Said, Unreachable, ask, is_portbroker
from portbroker.doctor.findings import Finding, bad, doubtful, good

ABOUT = "gateway"


def look(url: str, revision: str | None) -> list[Finding]:
    """What is at an address; `revision` is that of the file, None where that cannot be served."""
    try:
        said = ask(url, "/")
    except Unreachable as error:
        return [bad(ABOUT, f"nothing answers at {url}: {error}", "start it with `portbroker`, or name it with --url")]
    if not is_portbroker(said):
        return [bad(ABOUT, f"what answers at {url} is no PortBroker", "free the port, or serve on another: --port")]
    version = said.body.get("version")
    return [good(ABOUT, f"PortBroker {version} answers at {url}"), *_revision(said, revision), *_reload(said)]


def _revision(said: Said, revision: str | None) -> list[Finding]:
    served = str(said.body.get("revision"))
    if revision is None or served == revision:
        return [good(ABOUT, f"it serves revision {served}")] if revision else []
    hint = "`portbroker check` tells whether the file is good; is it the one that is served?"
    return [doubtful(ABOUT, f"it serves revision {served}, and the file is {revision}", hint)]


def _reload(said: Said) -> list[Finding]:
    last = said.body.get("last_reload")
    if isinstance(last, dict) and last.get("succeeded") is False:
        hint = "its log and `portbroker check` say why; the file before it is still served"
        return [bad(ABOUT, f"the file was refused at {last.get('at')}", hint)]
    return []
