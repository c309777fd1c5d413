"""What surrounds the file: variables, `.env`, `secrets.yaml` and files beside it. One rule: a value of these never
comes into a message."""

import difflib
import io
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

from portbroker.config import document, source
from portbroker.config.syntax import Fault
from portbroker.errors import Problem

MAX_VALUE = 64 * 1024
SECRETS = "secrets.yaml"
NAMES = " (names)"
"""Ends the name under which is kept what a pattern matched."""


class Missing(Exception):
    """Something that a template asks for is not there, or empty. The text is the reason."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that was read beside the file: with it, another process renders the same values from the same bytes.

    `files` are by their names in the directory of the file; None stands for one that was not there.
    """

    variables: Mapping[str, str] = field(repr=False)
    files: Mapping[str, bytes | None] = field(repr=False)


class Environment:
    """What templates may read. `files` grows with each file that was read, or looked for and not found.

    `variables` stand for those of the process, `kept` for the files: with it, nothing is read. `instead` stands for
    some of the files, and the others are read.
    """

    def __init__(
        self,
        directory: Path,
        variables: Mapping[str, str] | None = None,
        kept: Mapping[str, bytes | None] | None = None,
        instead: Mapping[str, bytes] | None = None,
    ) -> None:
        self.directory = directory
        self.files: set[Path] = set()
        self.problems: list[Problem] = []
        self._live = kept is None
        self._kept = dict(kept or instead or {})
        self._real = real = dict(os.environ if variables is None else variables)
        self._origin = dict.fromkeys(dotenv := self._dotenv(), ".env") | dict.fromkeys(real, "environment")
        self.variables: dict[str, str] = {**dotenv, **real}
        self.state = ".portbroker"
        self._secrets: Mapping[str, str] | None = None
        self._posted: Mapping[str, str] | None = None
        self._names_in_use: frozenset[str] = frozenset()

    @property
    def surroundings(self) -> Surroundings:
        """What has been read so far."""
        return Surroundings(self._real, self._kept)

    def expect(self, text: str) -> None:
        """Take note of the variables that the file names: one of these is not what another was meant to be."""
        self._names_in_use = frozenset(re.findall(r"\benv\.(\w+)", text))

    def origin(self, name: str) -> str:
        """Where the variable comes from: `environment` or `.env`."""
        return self._origin.get(name, "environment")

    def variable(self, name: str) -> str:
        """The value of a variable, which may be empty."""
        if name not in self.variables:
            hint = f"set it, in the environment or in .env, or write {{{{ env.{name} | default('…') }}}}"
            raise Missing(f"{name} is not set" + self._near(name), hint)
        return self.variables[name]

    def secret(self, name: str) -> str:
        """An entry of `secrets.yaml`, or of the one in the state directory, where those are that were posted."""
        if self._secrets is None:
            self._secrets = self._read_secrets()
        if self._secrets is not None and name in self._secrets:
            return self._secrets[name]
        if self._posted is None:
            self._posted = self._read_secrets(self.posted_secrets) or {}
        if name in self._posted:
            return self._posted[name]
        if self._secrets is None:
            raise Missing("there is no secrets.yaml beside this file")
        raise Missing(f"secrets.yaml has no `{name}`" + _did_you_mean(name, self._secrets))

    @property
    def posted_secrets(self) -> str:
        """The file in the state directory, by its name in the directory of the configuration."""
        return posixpath.join(os.path.expanduser(self.state), SECRETS)

    def file(self, name: str) -> str:
        """The text of a file beside the configuration, without the line break at its end."""
        self._check_inside(name)
        try:
            data = self._read(name)
            text = source.text_of(data or b"")
        except Fault as fault:
            raise Fault(f"the file {name}: {fault.message}", hint=fault.hint) from None
        if data is None:
            raise Missing(f"the file {name} is not there")
        if len(text) > MAX_VALUE:
            raise Fault(f"the file {name} is too long for a value")
        return text.removesuffix("\n").removesuffix("\r")

    def names(self, pattern: str) -> list[str]:
        """The files in the directory of the configuration, or below it, whose names match, by their names from there.

        What begins with a dot is meant only by a pattern that says so. Raises `Fault` for a pattern that leads out.
        """
        if ".." not in Path(pattern).parts:
            pattern = posixpath.normpath(pattern)
        self._check_inside(pattern)
        key = pattern + NAMES
        if key not in self._kept and self._live:
            self._kept[key] = "\0".join(self._matching(pattern)).encode()
        return [name for name in (self._kept.get(key) or b"").decode().split("\0") if name]

    def _matching(self, pattern: str) -> list[str]:
        """The files there are; what a watcher must look at to see others come is noted."""
        steps = pattern.split("/")
        first = next((at for at, step in enumerate(steps) if set("*?[") & set(step)), len(steps))
        for length in range(first, len(steps)):
            begin = "/".join(steps[:length])
            self.files |= {self.directory / place for place in (begin, *glob(begin, root_dir=self.directory))}
        found = (name.replace(os.sep, "/") for name in glob(pattern, root_dir=self.directory))
        return sorted(name for name in found if not (self.directory / name).is_dir())

    def part(self, name: str) -> bytes:
        """The bytes of a file that is a part of the configuration. Raises `Missing` and `Fault`."""
        self._check_inside(name)
        try:
            data = self._read(name)
        except Fault as fault:
            raise Fault(f"the file {name}: {fault.message}", hint=fault.hint) from None
        if data is None:
            raise Missing(f"the file {name} is not there")
        return data

    def path(self, name: str, check: Callable[[Path], None]) -> str:
        """The path of a file that is read when it is used, counted from here. Raises `Fault`, as `check` may."""
        path = self.directory / name
        self.files.add(path)
        try:
            if self._live:
                source.read(path)
                check(path)
        except Fault as fault:
            raise Fault(f"the file {fault.message.removeprefix('the file ')}", hint=fault.hint) from None
        return str(path)

    def _read(self, name: str, *, private: bool = False) -> bytes | None:
        """What a file beside the configuration holds; None when it is not there. Read once, for all who ask."""
        key = private_name(name) if private else name  # what was read without that check does not pass it
        if key not in self._kept and self._live:
            path = self.directory / name
            self.files.add(path)
            self._kept[key] = source.read(path, private=private) if path.exists() else None
        return self._kept.get(key)

    def _check_inside(self, name: str) -> None:
        """Raises `Fault` for a file outside the directory of the configuration; links may not lead out of it."""
        outside = Fault(f"the file {name} is outside the directory of this file", hint="keep it beside this file")
        if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
            raise outside
        if self._live and not (self.directory / name).resolve().is_relative_to(self.directory.resolve()):
            raise outside

    def _near(self, name: str) -> str:
        return _did_you_mean(name, (other for other in self.variables if other not in self._names_in_use))

    def _dotenv(self) -> dict[str, str]:
        path = self.directory / ".env"
        try:
            if (data := self._read(".env")) is None:
                return {}
            from dotenv.parser import parse_stream  # only where there is a .env: it costs start-up time

            bindings = list(parse_stream(io.StringIO(source.text_of(data))))
        except Fault as fault:
            self.problems.append(Problem(str(path), fault.line, fault.column, fault.message, hint=fault.hint))
            return {}
        self.problems += [
            Problem(str(path), binding.original.line, 1, "this line cannot be read", hint="write NAME=value")
            for binding in bindings
            if binding.error
        ]
        return {binding.key: binding.value for binding in bindings if binding.key and binding.value is not None}

    def _read_secrets(self, name: str = SECRETS) -> Mapping[str, str] | None:
        try:
            if (data := self._read(name, private=True)) is None:
                return None
            return _only_text(document.parse(source.text_of(data)))
        except Fault as fault:
            where = f", line {fault.line}" if fault.line else ""
            raise Fault(f"{name}{where}: {fault.message}", hint=fault.hint) from None


def private_name(name: str) -> str:
    """How `Surroundings` call a file that was read as a private one."""
    return f"{name} (private)"


def _only_text(parsed: document.Document) -> Mapping[str, str]:
    if parsed.faults:
        raise parsed.faults[0]
    values: Any = parsed.data
    if not isinstance(values, dict):
        raise Fault("it must be a mapping of names to text")
    for name, value in values.items():
        if not isinstance(value, str):
            raise Fault(f"`{name}` must be text", *parsed.place((name,)), "put it in quotes")
    return values


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.8)
    return f"; did you mean {near[0]}?" if near else ""
