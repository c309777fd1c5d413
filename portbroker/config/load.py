"""The file as a `Config`: read, parsed, rendered, checked, built. `load` is the way in, and `Loaded` what comes out.

The one rule: every problem that can be found is found at once, each at its place, and none shows a secret.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from portbroker.config import check, document, include, overrides, rendering, source
from portbroker.config.document import Document
from portbroker.config.environment import NAMES, Environment, Surroundings
from portbroker.config.model import Config
from portbroker.config.own import Own, read_own
from portbroker.config.place import Finding, Path, dotted
from portbroker.config.syntax import Fault
from portbroker.config.ways import find_ways
from portbroker.errors import ConfigError, Problem
from portbroker.origin import Way

SWITCHED_OFF = "is_active is false"
"""Why a provider is inactive that the user has switched off, and not the lack of a credential."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and what is known of where it came from.

    `revision` names the bytes, also those of the files that it includes: `included` are their names, counted from its
    directory. `inactive` gives, by provider name, why a provider takes no calls; `ways`, how its connections leave.
    `files` are all that were read, or looked for and not found: what a watcher watches. `text` and `surroundings` are
    all that `load_text` needs to come to the same again, in another process.
    """

    config: Config
    file: str
    revision: str
    inactive: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    files: frozenset[FilePath] = frozenset()
    document: Document | None = field(default=None, repr=False)
    text: bytes = field(default=b"", repr=False)
    surroundings: Surroundings = field(default_factory=lambda: Surroundings({}, {}), repr=False)
    ways: Mapping[str, Way] = field(default_factory=dict)
    included: tuple[str, ...] = ()
    own: Own = field(default_factory=Own, repr=False)

    def parts(self) -> dict[str, bytes]:
        """The included files by their names, and what the patterns matched by these."""
        files = self.surroundings.files
        return {name: data or b"" for name, data in files.items() if name in self.included or name.endswith(NAMES)}

    def part_file(self, name: str) -> str:
        """An included file as problems name it."""
        return str(FilePath(self.file).parent / name)

    def problem(self, path: str | Path, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A fault at a place of the file: `providers[0].base_url`, or the steps of it. With `key`, at the key."""
        if self.document is None:
            return Problem(self.file, 0, 0, message, path if isinstance(path, str) else dotted(path), hint)
        if isinstance(path, str):
            steps = self.document.path(path)
            mark = self.document.place(steps, key=key)
            return Problem(self.document.file(steps) or self.file, *mark, message, path, hint)
        return _problem(self.file, self.document, Finding(tuple(path), message, hint, key))


def load(path: str | FilePath, *, environ: Mapping[str, str] | None = None, thorough: bool = False) -> Loaded:
    """The configuration in a file. Raises `ConfigError`. `environ` stands for the environment's variables.

    `thorough` also holds a file that is right against the JSON Schema, which takes a tenth of a second.
    """
    path = FilePath(path)
    try:
        text = source.read(path)
    except Fault as fault:
        raise ConfigError([_of_fault(str(path), fault)]) from None
    loaded = load_text(text, file=str(path), directory=path.parent, environ=environ, thorough=thorough)
    return replace(loaded, files=loaded.files | {path})


def load_text(
    text: bytes,
    *,
    file: str,
    directory: FilePath,
    environ: Mapping[str, str] | None = None,
    kept: Mapping[str, bytes | None] | None = None,
    instead: Mapping[str, bytes] | None = None,
    thorough: bool = False,
) -> Loaded:
    """The configuration in the bytes of a file. `directory` is where `.env`, `secrets.yaml` and `file('…')` are.

    With `kept` (the files of `surroundings`), these are what they were then, and nothing is read; with `instead` (the
    parts of another time), only those are.
    """
    main = _parse(text, file)
    environment = Environment(directory, environ, kept, instead)
    whole = include.gather(main, file, environment)
    parsed = whole.document
    revision = _revision(text, whole.digests)
    environment.state = overrides.state_word(parsed.data, environment)
    rendered = rendering.render(parsed.data, environment)
    data, misset = overrides.apply(rendered.data, environment)
    own, weak = read_own(environment)
    config, findings = check.build(data, thorough=thorough)
    ways, unfit, misled = find_ways(config, environment) if config else ({}, [], [])
    problems = [_of_fault(file, fault) for fault in parsed.faults] + whole.problems
    problems += _elsewhere(problems, (_problem(file, parsed, finding) for finding in rendered.findings))
    problems += _elsewhere(problems, (_problem(file, parsed, finding) for finding in findings + unfit))
    problems += environment.problems + misset + weak + misled
    if config is None or problems:
        problems.sort(key=lambda problem: (problem.file != file, problem.file, problem.line, problem.column))
        raise ConfigError(problems, frozenset(environment.files), revision)
    warnings = tuple(_problem(file, parsed, finding) for finding in rendered.warnings)
    inactive = _inactive(config, rendered.inactive)
    return Loaded(
        config, file, revision, inactive, warnings, frozenset(environment.files), parsed, text,
        environment.surroundings, ways, tuple(whole.names), own,
    )  # fmt: skip


def _parse(text: bytes, file: str) -> Document:
    try:
        return document.parse(source.text_of(text))
    except Fault as fault:
        raise ConfigError([_of_fault(file, fault)], revision=_revision(text, ())) from None


def _revision(text: bytes, included: Iterable[tuple[str, bytes]]) -> str:
    """The short hash of the file and of what it includes; of a file alone, that of its bytes."""
    digest = hashlib.sha256(text)
    for name, data in included:
        digest.update(b"\0" + name.encode("utf-8", "surrogateescape") + b"\0" + hashlib.sha256(data).digest())
    return digest.hexdigest()[:12]


def _elsewhere(known: list[Problem], more: Iterable[Problem]) -> list[Problem]:
    """Those that stand at no known place: what could not be read need not also be of the wrong kind."""
    places = {(problem.file, problem.line, problem.column) for problem in known}
    return [problem for problem in more if (problem.file, problem.line, problem.column) not in places]


def _inactive(config: Config, by_index: Mapping[int, str]) -> dict[str, str]:
    return {
        provider.name: by_index.get(index, SWITCHED_OFF)
        for index, provider in enumerate(config.providers)
        if not provider.is_active
    }


def _of_fault(file: str, fault: Fault) -> Problem:
    return Problem(file, fault.line, fault.column, fault.message, hint=fault.hint)


def _problem(file: str, parsed: Document, finding: Finding) -> Problem:
    line, column = parsed.place(finding.path, key=finding.at_key)
    where = parsed.file(finding.path) or file
    return Problem(where, line, column, finding.message, dotted(finding.path), finding.hint)
