"""Several files that are one: what is joined, what is refused, and that every fault is found where it stands."""

import hashlib
import os
from pathlib import Path

import pytest

from portbroker.compile import compile_snapshot
from portbroker.config.load import Loaded, load, load_text
from portbroker.errors import ConfigError, Problem


def tree(directory: Path, **files: str) -> Path:
    """The files by their names, with `__` for `/`; `main` is the one that names the others."""
    for name, text in files.items():
        path = directory / ("portbroker.yaml" if name == "main" else f"{name.replace('__', '/')}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory / "portbroker.yaml"


def provider(name: str, more: str = "") -> str:
    return f"providers:\n  - name: {name}\n    base_url: http://127.0.0.1:9/v1\n{more}"


def names(loaded: Loaded) -> list[str]:
    return [one.name for one in loaded.config.providers]


def problems(path: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        compile_snapshot(load(path, environ={}))
    return caught.value.problems


def told(path: Path) -> list[str]:
    """The problems, their files by their names from the directory."""
    return [str(problem).replace(f"{path.parent}/", "") for problem in problems(path)]


def test_lists_are_joined_in_the_order_of_the_patterns_and_then_of_the_names(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        main=f"include: [z.yaml, p/*.yaml]\n{provider('Main')}",
        z=provider("Z"),
        p__b=provider("B"),
        p__a=provider("A", "models:\n  - {match: fast, targets: [{provider: B, model: m}]}\n"),
    )
    loaded = load(path, environ={}, thorough=True)
    assert names(loaded) == ["Main", "Z", "A", "B"]
    assert loaded.included == ("z.yaml", "p/a.yaml", "p/b.yaml")
    assert compile_snapshot(loaded).models.rules[0].pattern.text == "fast"


def test_mappings_are_joined_key_by_key(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        main="include: [p.yaml]\ncatalog:\n  one: {context_window: 1}\nserver: {port: 9}\n",
        p="catalog:\n  two: {context_window: 2}\nserver: {host: 127.0.0.2}\nretry: {attempts: 2}\n",
    )
    config = load(path, environ={}).config
    assert {name: entry.context_window for name, entry in config.catalog.items()} == {"one": 1, "two": 2}
    assert (config.server.host, config.server.port) == ("127.0.0.2", 9)
    assert config.retry.attempts == 2


def test_an_included_file_includes_others_counted_from_itself(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        main="include: [teams/*.yaml]\n",
        teams__a="include: [more/x.yaml]\n" + provider("A"),
        teams__more__x=provider("X"),
    )
    assert load(path, environ={}).included == ("teams/a.yaml", "teams/more/x.yaml")


def test_a_file_that_two_patterns_match_counts_once(tmp_path: Path) -> None:
    path = tree(tmp_path, main="include: [p/a.yaml, p/*.yaml]\n", p__a=provider("A"))
    assert names(load(path, environ={})) == ["A"]


def test_a_glob_may_match_nothing_and_leaves_hidden_files_and_directories_out(tmp_path: Path) -> None:
    path = tree(tmp_path, main="include: [p/*, 'none/*.yaml']\n", p__a=provider("A"), p__sub__b=provider("B"))
    (tmp_path / "p" / ".hidden.yaml").write_text("colour: red\n")
    assert names(load(path, environ={})) == ["A"]


def test_every_included_byte_is_part_of_the_revision(tmp_path: Path) -> None:
    path = tree(tmp_path, main="include: ['p/*.yaml']\n", p__a=provider("A"))
    seen = {load(path, environ={}).revision}
    (tmp_path / "p" / "a.yaml").write_text(provider("A") + "# more\n")
    seen.add(load(path, environ={}).revision)
    (tmp_path / "p" / "a.yaml").rename(tmp_path / "p" / "b.yaml")
    seen.add(load(path, environ={}).revision)
    tree(tmp_path, p__c=provider("C"))
    seen.add(load(path, environ={}).revision)
    assert len(seen) == 4
    alone = tree(tmp_path, main=provider("A"))
    assert load(alone, environ={}).revision == hashlib.sha256(alone.read_bytes()).hexdigest()[:12]


def test_an_inclusion_is_the_same_again_in_another_process_without_the_files(tmp_path: Path) -> None:
    path = tree(tmp_path, main="include: ['p/*.yaml']\n", p__a=provider("A"))
    first = load(path, environ={})
    (tmp_path / "p" / "a.yaml").unlink()
    again = load_text(
        first.text, file=first.file, directory=tmp_path, environ={}, kept=first.surroundings.files
    )  # fmt: skip
    assert (again.revision, names(again)) == (first.revision, ["A"])


def test_templates_of_an_included_file_are_rendered_like_those_of_the_file(tmp_path: Path) -> None:
    path = tree(tmp_path, main="include: [p.yaml]\n", p=provider("A", '    api_key: "{{ env.KEY }}"\n'))
    assert load(path, environ={"KEY": "sk-1"}).config.providers[0].api_key is not None
    assert load(path, environ={}).inactive == {"A": "KEY is not set"}


def test_a_fault_is_told_with_the_file_and_line_where_it_stands(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        main=f"include: ['p/*.yaml']\ncolour: red\n{provider('Main')}",
        p__a=provider("A", "    priority: high\n"),
        p__b="models:\n  - {match: x, targets: [{provider: A, model: m, wait: 1}]}\nshade: blue\n",
    )
    assert [(p.file.removeprefix(f"{tmp_path}/"), p.line) for p in problems(path)] == [
        ("portbroker.yaml", 2), ("p/a.yaml", 4), ("p/b.yaml", 2), ("p/b.yaml", 3),
    ]  # fmt: skip


def test_a_fault_of_compiling_is_told_with_the_file_and_line_where_it_stands(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        main=f"include: [rules.yaml]\n{provider('A')}",
        rules="models:\n  - {match: x, targets: [{provider: A, model: m}]}\n"
        "  - {match: y, targets: [{provider: B, model: m}]}\n",
    )
    (found,) = problems(path)
    assert (found.file, found.line, found.path) == (str(tmp_path / "rules.yaml"), 3, "models[1].targets[0].provider")


def test_a_file_that_is_no_yaml_is_told_with_all_other_faults(tmp_path: Path) -> None:
    path = tree(tmp_path, main="include: [a.yaml, b.yaml]\n", a="providers: [\n", b=provider("B", "    priority: x\n"))
    found = problems(path)
    assert [Path(problem.file).name for problem in found] == ["a.yaml", "b.yaml"]
    assert (found[0].line, found[1].line) == (2, 4)


@pytest.mark.parametrize(
    ("main", "part", "words"),
    [
        (provider("A"), provider("A"), "p.yaml:2:11: 'A' is also in portbroker.yaml, line 3 (take one of them out)"),
        ("catalog: {m: {context_window: 1}}\n", "catalog:\n  m: {context_window: 2}\n",
         "p.yaml:2:3: catalog.m: `m` is also in portbroker.yaml, line 2 (take one of them out)"),
        ("routes: [{path: /a, dialect: openai.chat}]\n", "routes:\n  - {path: /a, dialect: openai.chat}\n",
         "p.yaml:2:12: '/a' is also in portbroker.yaml, line 2 (take one of them out)"),
        ("server: {port: 1}\n", "server: {port: 2}\n",
         "p.yaml:1:10: server.port: `port` is also in portbroker.yaml, line 2 (take one of them out)"),
        ("catalog: {}\n", "catalog: []\n",
         "p.yaml:1:1: `catalog` is a mapping in portbroker.yaml, line 2, and not here"),
        ("", "- a\n", "p.yaml:1:1: the file must be a mapping (begin with `providers:` and a list below it)"),
        ("", "", "p.yaml: the file is empty (start with `providers:`)"),
        ("", "include: [p.yaml]\n",
         "p.yaml:1:11: goes round in a circle: p.yaml -> p.yaml (a file cannot be a part of itself)"),
        ("", "include: [portbroker.yaml]\n",
         "p.yaml:1:11: goes round in a circle: portbroker.yaml -> p.yaml -> portbroker.yaml"
         " (a file cannot be a part of itself)"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_told_with_both_places(main: str, part: str, words: str, tmp_path: Path) -> None:
    assert words in told(tree(tmp_path, main=f"include: [p.yaml]\n{main}", p=part))


def test_two_included_files_that_clash_are_both_named(tmp_path: Path) -> None:
    path = tree(tmp_path, main="include: ['p/*.yaml']\n", p__a=provider("X"), p__b=provider("X"))
    assert told(path) == ["p/b.yaml:2:11: 'X' is also in p/a.yaml, line 2 (take one of them out)"]


OUTSIDE = "is outside the directory of this file (keep it beside this file)"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("../../etc/passwd", OUTSIDE),
        ("p/../../x.yaml", OUTSIDE),
        ("/etc/passwd", OUTSIDE),
        ("/etc/*.conf", OUTSIDE),
        ("link.yaml", OUTSIDE),
        ("linked/*.yaml", OUTSIDE),
        ("none.yaml", "the file none.yaml is not there"),
        ("portbroker.yaml", "goes round in a circle: portbroker.yaml -> portbroker.yaml"),
        ("portb*.yaml", "goes round in a circle: portbroker.yaml -> portbroker.yaml"),
        ("private", "the file private is not there"),
        ("pipe", "the file pipe: is not a regular file"),
        ('"a\\0b"', "the file a"),
    ],
)
def test_what_may_not_be_included_is_refused(pattern: str, words: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    tree(tmp_path / "elsewhere", x=provider("X"))
    path = tree(inside, main=f"include:\n  - {pattern}\n")
    (inside / "link.yaml").symlink_to(tmp_path / "elsewhere" / "x.yaml")
    (inside / "linked").symlink_to(tmp_path / "elsewhere")
    (inside / "private").symlink_to("nowhere")
    os.mkfifo(inside / "pipe")
    (found, *_) = problems(path)
    assert (found.line, words in str(found)) == (2, True), str(found)
