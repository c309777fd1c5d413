"""The processes that take part: mock, anchors, PortBroker, peers. The one rule: whatever starts here ends here."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_TICKS = os.sysconf("SC_CLK_TCK")
LOAD_CORE, SIDE_CORE = 0, 1

_PROVIDER = """\
  - name: {name}
    provider_type: custom
    base_url: http://127.0.0.1:{port}/v1
    api_key: bench
    big_model: bench-model
    models: [bench-model]
"""
VARIANTS = ("dead_first",)
"""PortBroker under other circumstances, measured only when asked for."""


@dataclass(frozen=True, slots=True)
class Side:
    """One process (and its children) that answers on `port`."""

    name: str
    port: int
    pid: int

    def cpu(self) -> float:
        """Microseconds of CPU time that it has used so far."""
        return sum(map(_cpu_of, _tree(self.pid)))

    def memory(self) -> float:
        """Megabytes resident."""
        return sum(map(_memory_of, _tree(self.pid)))


def build(into: Path) -> None:
    """Compile the mock and the load client; needs only gcc."""
    for name in ("mock", "load"):
        subprocess.run(["gcc", "-O2", "-o", into / name, HERE / f"{name}.c"], check=True)


def commands(into: Path, mock: int) -> dict[str, tuple[int, list[str]]]:
    """By name, the port and the command of every side that can be started here."""
    ports = {name: free_port() for name in ("nginx", "haproxy", "bare", "portbroker", *VARIANTS)}
    found = {
        "bare": [sys.executable, str(HERE / "bare.py"), str(ports["bare"]), str(mock)],
        "portbroker": gateway(into / "portbroker.yaml", ports["portbroker"], mock),
        "dead_first": gateway(into / "dead_first.yaml", ports["dead_first"], free_port(), mock),
    }
    for name, template, arguments in (
        ("nginx", "nginx.conf", ["-p", str(into), "-c"]),
        ("haproxy", "haproxy.cfg", ["-f"]),
    ):
        if program := shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin"):
            written = into / template
            written.write_text(
                (HERE / template).read_text().replace("MOCK", str(mock)).replace("PORT", str(ports[name]))
            )
            found[name] = [program, *arguments, str(written)]
    return {name: (ports[name], command) for name, command in found.items()}


def gateway(file: Path, port: int, *mocks: int, workers: int = 1) -> list[str]:
    """The command that serves a PortBroker whose providers, in this order, are at these ports."""
    file.write_text("providers:\n" + "".join(_PROVIDER.format(name=f"p{mock}", port=mock) for mock in mocks))
    command = [sys.executable, "-m", "portbroker", "serve", str(file), "--port", str(port)]
    return [*command, "--workers", str(workers)]


@contextlib.contextmanager
def started(name: str, port: int, command: list[str], core: int | None = SIDE_CORE) -> Iterator[Side]:
    """The side, answering, on one core or on any; it is ended with the context."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if core is not None:
            pin(process.pid, core)
        _wait_for(port, process)
        yield Side(name, port, process.pid)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where there are several."""
    if (os.cpu_count() or 1) > core:
        os.sched_setaffinity(pid, {core})


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + 20
    while time.monotonic() < ends and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing answers on port {port}: {process.args!r}")


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return (
        [pid, *(one for child in children.read_text().split() for one in _tree(int(child)))]
        if children.exists()
        else []
    )


def _cpu_of(pid: int) -> float:
    """By the scheduler's count, in nanoseconds; where the kernel keeps none, in ticks."""
    try:
        return sum(int(f.read_text().split()[0]) for f in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e3
    except (OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS * 1e6


def _memory_of(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)
