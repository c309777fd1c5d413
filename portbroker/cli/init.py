"""`portbroker init`: a first portbroker.yaml, and the schema by which editors explain it.

The one rule: nothing that is there is overwritten.
"""

import argparse
from pathlib import Path
from typing import Final

from portbroker.cli.files import DEFAULT
from portbroker.cli.terminal import CommandError, Terminal

DESCRIPTION = """\
Write a portbroker.yaml to start from, every line of it explained, and beside it
schemas/portbroker.schema.json, by which editors complete and check it.

It serves as it is: until a key is set, the built-in demo provider answers."""
EXAMPLES = """\
  portbroker init
  portbroker init gateway.yaml"""

_STARTER: Final = Path(__file__).parent.parent / "starter.yaml"
_SCHEMA: Final = Path("schemas", "portbroker.schema.json")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", default=DEFAULT, help=f"the file (default: {DEFAULT})")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.config.schema import schema_text

    path = Path(args.file)
    schema = path.parent / _SCHEMA
    if path.exists():
        raise CommandError(f"{path} is there already", f"`portbroker check {path}` tells whether it can be served")
    try:
        schema.parent.mkdir(parents=True, exist_ok=True)
        _write(path, _STARTER.read_text(encoding="utf-8"), terminal)
        if not schema.exists():
            _write(schema, schema_text(), terminal)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    serve = "portbroker" if path == Path(DEFAULT) else f"portbroker {path}"
    terminal.say(f"\n`{serve}` serves it. Set OPENAI_API_KEY, or another key that it names, and a real model answers.")
    return 0


def _write(path: Path, text: str, terminal: Terminal) -> None:
    with path.open("x", encoding="utf-8") as file:  # never over what appeared meanwhile
        file.write(text)
    terminal.say(f"wrote {path}")
