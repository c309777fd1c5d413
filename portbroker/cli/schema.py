"""`portbroker schema`: the JSON Schema of the file, for editors and CI."""

import argparse

from portbroker.cli.terminal import Terminal

DESCRIPTION = "Print the JSON Schema of portbroker.yaml, by which editors complete and check it."
EXAMPLES = """\
  portbroker schema > portbroker.schema.json
  # and as the first line of portbroker.yaml:
  # yaml-language-server: $schema=portbroker.schema.json"""


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments: there is one schema."""


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.config.schema import schema_text

    terminal.say(schema_text().rstrip("\n"))
    return 0
