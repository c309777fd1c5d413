"""Which file a command is about, and what to do when there is none."""

import argparse
from pathlib import Path
from typing import Final

from portbroker.cli.terminal import CommandError, setting

DEFAULT: Final = "portbroker.yaml"


def add_file(parser: argparse.ArgumentParser, *, what: str = "the configuration", positional: bool = True) -> None:
    """The arguments by which a file is named."""
    if positional:
        parser.add_argument("file", nargs="?", metavar="FILE", help=f"{what} (default: {DEFAULT})")
    parser.add_argument("--config", metavar="FILE", help="the same, for scripts; $PORTBROKER_CONFIG does as well")


def config_path(args: argparse.Namespace) -> Path:
    """The file that the arguments, the environment or the working directory name. Raises CommandError for none."""
    path = Path(getattr(args, "file", None) or args.config or setting("PORTBROKER_CONFIG") or DEFAULT)
    if not path.exists():
        init = "portbroker init" if path == Path(DEFAULT) else f"portbroker init {path}"
        raise CommandError(f"{path}: no such file", f"`{init}` writes one to start from; the demo answers at once")
    return path
