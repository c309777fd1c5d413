"""`portbroker mock`: a provider that fails as it is told, to rehearse an outage."""

import argparse
from typing import TYPE_CHECKING

from portbroker.cli.terminal import CommandError, Terminal
from portbroker.mock.behaviours import BEHAVIOURS, Behaviour, BehaviourError, behaviour_of

if TYPE_CHECKING:
    from portbroker.mock import Mock

_LISTING = "\n".join(f"  {name:<16} {does}" for name, does in BEHAVIOURS.items())
DESCRIPTION = f"""\
Serve a provider that speaks openai.chat, openai.responses and anthropic.messages, whole and
streamed, and fails as it is told: to rehearse an outage. It listens on loopback only.

What becomes of a call is said by its header `x-mock`, else by what was set for all calls (with
--behaviour or the control endpoint), else by the name of the model:
{_LISTING}

GET /__mock says what it has done; POST /__mock sets what it does with all calls from now on."""
EXAMPLES = """\
  portbroker mock --port 8101                          a provider at http://127.0.0.1:8101/v1
  portbroker mock --port 8102 --behaviour slow-2s      one that is slow
  curl http://127.0.0.1:8101/__mock -d '{"behaviour": "fail-503"}'    the outage begins
  curl http://127.0.0.1:8101/__mock -d '{"behaviour": null}'          the outage ends
  curl http://127.0.0.1:8101/__mock                                   what it was asked"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8101, help="the port, 0 for a free one (default: 8101)")
    parser.add_argument(
        "--behaviour", type=_behaviour, help="what it does with all calls (default: as their model says)"
    )
    parser.add_argument("--name", help="what it calls itself in its answers (default: mock-PORT)")
    parser.add_argument("--pace", type=float, default=0.02, metavar="SECONDS",
                        help="between two words of a stream (default: 0.02)")  # fmt: skip


def _behaviour(words: str) -> Behaviour:
    try:
        return behaviour_of(words)
    except BehaviourError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.app import run
    from portbroker.listening import StartError
    from portbroker.mock import Mock

    mock = Mock(args.name or "", args.behaviour, args.pace)
    try:
        run(_serve(mock, args.port, terminal))
    except StartError as error:
        raise CommandError(str(error), "portbroker mock --port PORT") from error
    return 0


async def _serve(mock: "Mock", port: int, terminal: Terminal) -> None:
    """Serve until SIGTERM or SIGINT."""
    from portbroker.app import told_to_stop
    from portbroker.mock import CONTROL, serving

    stop = told_to_stop()
    async with serving(mock, port):
        terminal.note(f"serving {mock.url}, as base_url {mock.url}/v1; {mock.url}{CONTROL} tells what it has done")
        await stop.wait()
