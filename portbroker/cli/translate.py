"""`portbroker translate`: the exact body that a provider would get."""

import argparse
import sys
from typing import TYPE_CHECKING, Final

from portbroker.cli.files import add_file, config_path
from portbroker.cli.loading import compiled, near, provider_of
from portbroker.cli.terminal import CommandError, Terminal
from portbroker.conversation import Json, Report
from portbroker.errors import CallError, GatewayError

if TYPE_CHECKING:
    from portbroker.call import Call
    from portbroker.dialects import Dialect
    from portbroker.snapshot import Provider, Snapshot

DESCRIPTION = """\
Read a client's request body from standard input and print the body that a provider would get.
What translation changed is listed on standard error, one adaptation a line.

With --provider the body is that provider's, after its field map; the file is read, but no
credential is needed. Without it, --to names a plain dialect and no file is needed."""
EXAMPLES = """\
  portbroker translate --from anthropic --to openai < body.json
  portbroker translate --provider Groq < body.json
  portbroker translate --provider OpenAI --model gpt-5-mini --json < body.json

dialects: anthropic.messages (anthropic), openai.chat (openai), openai.responses (responses)"""

_SHORT: Final = {
    "anthropic": "anthropic.messages",
    "openai": "openai.chat",
    "chat": "openai.chat",
    "responses": "openai.responses",
}


def configure(parser: argparse.ArgumentParser) -> None:
    add_file(parser, positional=False)
    parser.add_argument(
        "--from", dest="source", metavar="DIALECT", default="anthropic", help="the client's (default: anthropic)"
    )
    parser.add_argument("--to", metavar="DIALECT", help="the provider's; not needed with --provider")
    parser.add_argument("--provider", metavar="NAME", help="a provider of the file")
    parser.add_argument("--model", metavar="NAME", help="the provider's name for the model")
    parser.add_argument("--strict", action="store_true", help="refuse loss, as `on_loss: error` does")
    parser.add_argument("--json", action="store_true", help="print body and adaptations as one JSON object")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    if not args.provider and not args.to:
        raise CommandError("say which provider's body is wanted", "--provider NAME, or --to DIALECT", status=2)
    client = _dialect(args.source)
    try:
        result = _for_provider(args, client) if args.provider else _for_dialect(args, client)
    except GatewayError as error:
        said = not error.param or str(error).startswith(error.param)
        raise CommandError(str(error) if said else f"{error.param}: {error}") from error
    _print(result, terminal, json=args.json)
    return 0


def _for_provider(args: argparse.Namespace, client: "Dialect") -> Json:
    from portbroker.translate import prepare

    _, snapshot = compiled(config_path(args))
    provider = provider_of(snapshot, args.provider)
    call = _call(client)
    target = snapshot.target(provider, args.model or _upstream_model(snapshot, provider, call))
    if args.to and _dialect(args.to) is not target.dialect:
        raise CommandError(f"{provider.name} speaks {target.dialect.name}, not {args.to}", "leave out --to")
    body, answering = prepare(call, target, strict=args.strict, request_id="", created=0)
    return _result(body, answering.reading.asked.report)


def _for_dialect(args: argparse.Namespace, client: "Dialect") -> Json:
    from portbroker.cases.parts import plain_target
    from portbroker.config.options import Options
    from portbroker.translate import prepare

    call = _call(client)
    target = plain_target(_dialect(args.to), Options(), args.model or call.model)
    body, answering = prepare(call, target, strict=args.strict, request_id="", created=0)
    return _result(body, answering.reading.asked.report)


def _call(client: "Dialect") -> "Call":
    from portbroker.call import parse_call

    if sys.stdin.isatty():
        print("reading a request body from the terminal; end it with Ctrl-D", file=sys.stderr)
    return parse_call(sys.stdin.buffer.read(), client)


def _dialect(word: str) -> "Dialect":
    from portbroker.dialects.registry import DIALECTS

    name = _SHORT.get(word, word)
    if name not in DIALECTS:
        raise CommandError(f"{word} is not a dialect that is served", near(word, (*DIALECTS, *_SHORT)), status=2)
    return DIALECTS[name]


def _upstream_model(snapshot: "Snapshot", provider: "Provider", call: "Call") -> str:
    """The provider's word for a requested model: by the rule that decides, else the word itself."""
    from portbroker.facts import Facts

    try:
        return snapshot.models.upstream_model(Facts(call, {}), call.model, provider) or call.model
    except CallError:  # nobody serves the name; this provider may know it all the same
        return call.model.removeprefix(f"{provider.name}/")


def _result(body: bytes, report: Report) -> Json:
    import orjson

    return {"body": orjson.loads(body), "adaptations": [str(adaptation) for adaptation in report]}


def _print(result: Json, terminal: Terminal, *, json: bool) -> None:
    terminal.json(result if json else result["body"])
    if json:
        return
    for adaptation in result["adaptations"]:
        code, _, path = adaptation.partition(":")
        terminal.note(f"{terminal.paint(code, 'yellow', sys.stderr):<9} {path}")
    if not result["adaptations"]:
        terminal.note("nothing was lost or changed")
