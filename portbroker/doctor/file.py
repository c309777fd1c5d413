"""The file: whether it can be served, and who of its providers can be called."""

from pathlib import Path

from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from portbroker.doctor.findings import Finding, bad, doubtful, good
from portbroker.errors import ConfigError
from portbroker.snapshot import Snapshot

ABOUT = "file"


def look(file: Path | None) -> tuple[list[Finding], Snapshot | None]:
    """What is to say of a file, and what it means when it can be served."""
    if file is None:
        return [
            bad(ABOUT, "there is no portbroker.yaml here", "`portbroker init` writes one; --config names another")
        ], None
    try:
        loaded = load(file, thorough=True)
        snapshot = compile_snapshot(loaded)
    except ConfigError as error:
        return [bad(ABOUT, str(problem), problem.hint or "mend it there") for problem in error.problems], None
    findings = [good(ABOUT, f"{file} can be served, as revision {snapshot.revision}")]
    findings += [doubtful(ABOUT, str(problem), problem.hint or "mend it there") for problem in loaded.warnings]
    findings += [
        doubtful(
            ABOUT,
            f"{provider.name} is inactive: {provider.reason}",
            _awake(provider.reason),
        )
        for provider in snapshot.providers.values()
        if not provider.active
    ]
    if snapshot.demo:
        findings.append(doubtful(ABOUT, "no provider has a key: the built-in demo answers", "set one, as in .env"))
    return findings, snapshot


def _awake(reason: str) -> str:
    """What makes a provider take calls."""
    missing = reason.endswith("is not set")
    return "set it in the environment or in .env; others are called meanwhile" if missing else "fine, if it is meant so"
