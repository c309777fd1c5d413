"""Text cut into the pieces that no token crosses: words with what stands before them, numbers, signs, white space.

The one rule: the pattern is that of o200k_base, in the words of `re`, which does not know Unicode's categories.
"""

import re
import unicodedata
from functools import cache

_PLANES = 0x32400
"""Code points from here on hold neither letters nor numbers that anyone writes in."""
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"


@cache
def pieces_pattern() -> re.Pattern[str]:
    """What finds one piece after another; every character belongs to one."""
    ranges = _ranges()
    upper, lower, both, number = (ranges[name] for name in ("upper", "lower", "both", "number"))
    other = f"[^\r\n{upper}{lower}{both}{number}]"
    return re.compile(
        f"{other}?[{upper}{both}]*[{lower}{both}]+{_ENDINGS}"
        f"|{other}?[{upper}{both}]+[{lower}{both}]*{_ENDINGS}"
        f"|[{number}]{{1,3}}"
        f"| ?[^\\s{upper}{lower}{both}{number}]+[\r\n/]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


_CLASSES = {
    "Lu": "upper", "Lt": "upper", "Ll": "lower",
    "Lm": "both", "Lo": "both", "Mn": "both", "Mc": "both", "Me": "both",
    "Nd": "number", "Nl": "number", "No": "number",
}  # fmt: skip


def _ranges() -> dict[str, str]:
    """The characters of each class, as the inside of a bracket."""
    found: dict[str, list[str]] = {name: [] for name in _CLASSES.values()}
    start, current = 0, ""
    for point in range(_PLANES):
        name = _CLASSES.get(unicodedata.category(chr(point)), "")
        if name != current:
            if current:
                found[current].append(_range(start, point - 1))
            start, current = point, name
    return {name: "".join(parts) for name, parts in found.items()}


def _range(first: int, last: int) -> str:
    return f"\\U{first:08x}" + (f"-\\U{last:08x}" if last > first else "")
