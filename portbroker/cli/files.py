"""Which file a command is about, and what to do when there is none."""

import argparse
from pathlib import Path
from typing import Final

from portbroker.cli.terminal import CommandError, setting

DEFAULT: Final = "portbroker.yaml"

_HOW_TO_MAKE_ONE: Final = """\
make one with:
cat > portbroker.yaml <<'EOF'
providers:
  - name: OpenAI
    provider_type: openai
    api_key: "{{ env.OPENAI_API_KEY }}"
    big_model: gpt-5.2
    medium_model: gpt-5.2
    small_model: gpt-5-mini
EOF"""


def add_file(parser: argparse.ArgumentParser, *, what: str = "the configuration", positional: bool = True) -> None:
    """The arguments by which a file is named."""
    if positional:
        parser.add_argument("file", nargs="?", metavar="FILE", help=f"{what} (default: {DEFAULT})")
    parser.add_argument("--config", metavar="FILE", help="the same, for scripts; $PORTBROKER_CONFIG does as well")


def config_path(args: argparse.Namespace) -> Path:
    """The file that the arguments, the environment or the working directory name. Raises CommandError for none."""
    path = Path(getattr(args, "file", None) or args.config or setting("PORTBROKER_CONFIG") or DEFAULT)
    if not path.exists():
        raise CommandError(f"{path}: no such file", _HOW_TO_MAKE_ONE)
    return path
