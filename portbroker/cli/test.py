"""`portbroker test`: the unit tests of a configuration, or translation cases."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from portbroker.cli.files import add_file, config_path
from portbroker.cli.terminal import Terminal

if TYPE_CHECKING:
    from portbroker.cases.run import Outcome

DESCRIPTION = """\
Run the `tests:` of a configuration, without any network: each request goes through the
compiled file, and what would be sent is compared with what is expected.

A file that ends in .jsonl holds translation cases instead, one JSON object a line. Each
failure is printed with its differences; the last line is `N passed, M failed`."""
EXAMPLES = """\
  portbroker test                        the tests of ./portbroker.yaml
  portbroker test portbroker.yaml --json
  portbroker test --coverage             and the rules that none of them reaches
  portbroker test cases.jsonl            translation cases"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_file(parser, what="a configuration with tests, or translation cases (.jsonl)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument("--coverage", action="store_true",
                        help="name the rules, of models and of requests, that no test reaches")  # fmt: skip


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    from portbroker.cli.outcomes import report

    path = config_path(args)
    if path.suffix == ".jsonl":
        return report(_cases(path), terminal, json=args.json)
    from portbroker.cli.expectations import run_loaded
    from portbroker.config.load import load

    loaded = load(path)
    if not args.coverage:
        return report(run_loaded(loaded), terminal, json=args.json)
    from portbroker.cli.coverage import Coverage

    coverage = Coverage(loaded)
    return report(run_loaded(loaded, coverage), terminal, json=args.json, coverage=coverage)


def _cases(path: Path) -> "Iterator[Outcome]":
    from portbroker.cases.run import run_file
    from portbroker.cli.probe import ProbedGateway

    with ProbedGateway() as gateway:
        yield from run_file(path, gateway.probe)
