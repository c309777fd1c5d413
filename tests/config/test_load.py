"""Files that load, files that must not, and what comes with a loaded one."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from portbroker.config.load import Loaded, load, load_text
from portbroker.errors import ConfigError, Problem

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GOOD = sorted((HERE / "good").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
ENVIRON = {"UPSTREAM_HOST": "127.0.0.1:9", "TWO_LINES": "sk-first\nsk-second", "A_NUMBER": "5"}
EXPECTED = re.compile(r"# error: (\d+):(\d+) (.+)")


def loaded(text: str, directory: Path = HERE, /, **environ: str) -> Loaded:
    return load_text(text.encode(), file="portbroker.yaml", directory=directory, environ=environ)


def refused(text: str, directory: Path = HERE, /, **environ: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        loaded(text, directory, **environ)
    return caught.value.problems


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_loads_and_satisfies_the_schema(path: Path) -> None:
    assert load(path, environ=ENVIRON, thorough=True).config.providers


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_at_the_place_with_the_reason(path: Path) -> None:
    expected = EXPECTED.findall(path.read_text(encoding="utf-8"))
    with pytest.raises(ConfigError) as caught:
        load(path, environ=ENVIRON, thorough=True)
    found = caught.value.problems
    assert len(expected) == len(found), [str(problem) for problem in found]
    for (line, column, message), problem in zip(expected, found, strict=True):
        assert (problem.line, problem.column) == (int(line), int(column)), str(problem)
        assert message in problem.message


def test_there_are_plenty_of_bad_files() -> None:
    assert len(BAD) >= 100


def test_the_shipped_file_loads_without_any_key_and_says_which_are_missing() -> None:
    shipped = load(ROOT / "portbroker.yaml", environ={}, thorough=True)
    assert shipped.inactive["OpenAI"] == "OPENAI_API_KEY is not set"
    assert not any(provider.is_active for provider in shipped.config.providers)
    assert not shipped.warnings


def test_the_shipped_file_serves_with_one_key() -> None:
    shipped = load(ROOT / "portbroker.yaml", environ={"GROQ_API_KEY": "gsk-x"})
    assert [provider.name for provider in shipped.config.providers if provider.is_active] == ["Groq"]


def test_the_revision_is_the_hash_of_the_bytes() -> None:
    text = "providers: []\n"
    assert loaded(text).revision == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert loaded(text + "#").revision != loaded(text).revision


def test_a_later_problem_finds_its_place_by_dotted_path_or_by_steps() -> None:
    file = loaded("providers:\n  - name: A\n    base_url: http://a\ncatalog:\n  gpt-5.4*:\n    context_window: 1\n")
    assert str(file.problem("providers[0].base_url", "is wrong")) == (
        "portbroker.yaml:3:15: providers[0].base_url: is wrong"
    )
    assert file.problem(("catalog", "gpt-5.4*"), "x").line == 5
    assert file.problem("catalog.gpt-5.4*.context_window", "x").column == 21
    assert file.problem("catalog.gpt-5.4*.context_window", "x", key=True).column == 5
    assert file.problem("providers[0].api_key", "missing").line == 2
    assert file.problem("nowhere", "x").line == 1


def test_problems_come_all_at_once_by_line_and_each_place_once() -> None:
    problems = refused("providers:\n  - {name: 5, priority: '1', prio: 2}\nmodel: []\nserver: {port: !x 1}\n")
    assert [problem.line for problem in problems] == [2, 2, 2, 3, 4]
    assert len({(problem.line, problem.column) for problem in problems}) == 5


def test_sections_whose_entries_are_commented_out_count_as_absent() -> None:
    config = loaded("providers:\n#  - name: A\nmodels:\nserver:\nroutes:\ntests:\ncatalog:\ntranslations:\n").config
    assert config.providers == ()
    assert len(config.models) == 3
    assert len(config.routes) == 4


def test_a_right_file_costs_no_library_that_it_does_not_need() -> None:
    """Start-up time is a promise: jsonschema alone takes 100 ms to import, jinja2 80."""
    code = (
        "import sys; from portbroker.config.load import load; load(sys.argv[1], environ={'OPENAI_API_KEY': 'x'});"
        "print(sorted({'jinja2', 'jsonschema', 'dotenv'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "portbroker.yaml")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# Credentials

ONE = "providers:\n  - name: A\n    base_url: http://a\n    api_key: %s\n"


@pytest.mark.parametrize(
    ("template", "environ", "reason"),
    [
        ('"{{ env.A_KEY }}"', {}, "A_KEY is not set"),
        ('"{{ env.A_KEY }}"', {"A_KEY": ""}, "A_KEY is empty"),
        ('"{{ env.A_KEY }}"', {"A_KEY": " \n"}, "A_KEY is empty"),
        ('"{{ env.A_KEY }}"', {"A_KEYS": "x"}, "A_KEY is not set; did you mean A_KEYS?"),
        ('"Bearer {{ env.A_KEY }}"', {"A_KEY": ""}, "A_KEY is empty"),
        ('"{{ env.A_KEY | trim }}"', {}, "A_KEY is not set"),
        ("\"{{ env.A_KEY | default('') }}\"", {}, "A_KEY is not set"),
        ("\"{{ file('no-such-file') }}\"", {}, "the file no-such-file is not there"),
        ('"{{ secret.a }}"', {}, "there is no secrets.yaml beside this file"),
    ],
)
def test_a_provider_without_its_credential_is_inactive_and_says_why(
    template: str, environ: dict[str, str], reason: str
) -> None:
    file = loaded(ONE % template, HERE, **environ)
    assert file.inactive == {"A": reason}
    assert not file.config.providers[0].is_active
    assert file.config.providers[0].api_key is None


def test_a_name_that_the_file_uses_elsewhere_is_no_misspelling_of_another() -> None:
    text = "providers:\n" + "".join(
        f'  - {{name: {n}, base_url: "http://a", api_key: "{{{{ env.{n}_API_KEY }}}}"}}\n' for n in ("XAI", "ZAI")
    )
    assert loaded(text, ZAI_API_KEY="x").inactive == {"XAI": "XAI_API_KEY is not set"}


def test_a_default_makes_up_for_an_unset_or_empty_variable() -> None:
    for environ in ({}, {"A_KEY": ""}):
        key = loaded(ONE % "\"{{ env.A_KEY | default('spare') }}\"", HERE, **environ).config.providers[0].api_key
        assert key is not None
        assert key.get_secret_value() == "spare"


def test_a_provider_that_sends_the_clients_credential_needs_none() -> None:
    file = loaded(ONE % '"{{ env.A_KEY }}"\n    pass_client_credentials: true')
    assert file.inactive == {}
    assert file.config.providers[0].is_active


def test_a_provider_that_is_switched_off_says_so_and_not_what_it_lacks() -> None:
    assert loaded(ONE % '"{{ env.A_KEY }}"\n    is_active: false').inactive == {"A": "is_active is false"}


def test_white_space_around_a_credential_is_no_part_of_it() -> None:
    key = loaded(ONE % '"{{ env.A_KEY }}"', A_KEY=" sk-1\n").config.providers[0].api_key
    assert key is not None
    assert key.get_secret_value() == "sk-1"


SECRET = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        ONE % "'{{ env.S }}'\n    priority: x",
        ONE % "'{{ env.S }} {{ env.S }}\n\n\n      z'",
        ONE % f"{SECRET}\n    priority: x",
        ONE % f"[{SECRET}]",
        ONE % "x\n    headers: {x-a: '{{ env.S }}\n\n\n      z'}",
        ONE % "x\n    headers: {x-a: '{{ env.S.upper() }}'}",
        ONE % "x\n    headers: {x-a: \"{{ env.S | replace(1, 2, 'x') }}\"}",
        ONE % "x\n    headers: ['{{ env.S }}']",
        ONE % "x\n    on_loss: '{{ env.S }}'",
        ONE % "x\n    provider_type: '{{ env.S }}'",
        ONE % "x\n    timeout: '{{ env.S }}'",
        ONE % "x\n    priority: '{{ env.S }}'",
        "providers:\n  - name: A\n    base_url: '{{ env.S }}'\n",
        "server: {host: [ '{{ env.S }}' ]}\n",
        "server: '{{ env.S }}'\n",
    ],
)
def test_no_error_shows_a_secret(text: str) -> None:
    problems = refused(text, S=SECRET)
    assert SECRET not in "\n".join(map(str, problems))
    error = ConfigError(problems)
    assert SECRET not in repr(error) + str(error)


def test_no_traceback_shows_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(ONE % "'{{ env.S }}'\n    priority: '{{ env.S }}'", S=SECRET)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_what_was_loaded_does_not_show_a_secret() -> None:
    file = loaded(ONE % "'{{ env.S }}'\n    headers: {x-a: '{{ env.S }}'}", S=SECRET)
    assert SECRET not in repr(file) + repr(file.config) + str(file.config)
    assert file.config.providers[0].headers["x-a"] == SECRET


# What surrounds the file


def test_the_environment_overrides_where_to_listen() -> None:
    server = loaded("server: {host: 10.0.0.1, port: 1}\n", HOST="0.0.0.0", PORT="9000").config.server
    assert (server.host, server.port) == ("0.0.0.0", 9000)
    assert loaded("providers: []\n", PORT="9").config.server.port == 9
    assert loaded("server: {port: 1}\n", PORT="", HOST=" ").config.server.port == 1


@pytest.mark.parametrize("port", ["80x", "-1", "65536", "99999999999999", "8_0", "٣", "1.5"])
def test_a_port_in_the_environment_that_is_none_is_an_error_that_names_it(port: str) -> None:
    (problem,) = refused("providers: []\n", PORT=port)
    assert str(problem).startswith("environment: PORT: PORT must be a whole number from 0 to 65535")


def test_the_environment_overrides_the_database_and_the_state_directory() -> None:
    config = loaded(
        "database: {type: sqlite}\n", DATABASE_TYPE="supabase", SUPABASE_URL="https://x.supabase.co",
        SUPABASE_KEY="sb_secret_x", PORTBROKER_STATE="/var/lib/portbroker",
    ).config  # fmt: skip
    database = config.database
    assert (database.kind, database.supabase_url) == ("supabase", "https://x.supabase.co")
    assert database.supabase_key is not None
    assert database.supabase_key.get_secret_value() == "sb_secret_x"
    assert config.server.state == "/var/lib/portbroker"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("", "sqlite"),
        ("sqlite:///./portbroker.db", "sqlite"),
        ("sqlite:////var/lib/portbroker.db", "sqlite"),
        ("postgresql://u:p@db/x", "postgresql"),
        ("postgres://u:p@db/x?sslmode=require", "postgresql"),
        ("postgresql+asyncpg://db/x", "postgresql"),
    ],
)
def test_the_url_says_which_database_it_is(url: str, kind: str) -> None:
    assert loaded("{}\n", DATABASE_URL=url).config.database.kind == kind


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_TYPE", "mysql", "DATABASE_TYPE must be sqlite, postgresql or supabase"),
        (
            "DATABASE_URL",
            "mysql://root:%s@db/x",
            "DATABASE_URL must be sqlite:///./FILE, sqlite:////ABSOLUTE/FILE or post",
        ),
        ("DATABASE_URL", "postgresql:/%s", "DATABASE_URL must be sqlite:///./FILE"),
        ("DATABASE_URL", "sqlite://", "DATABASE_URL must be sqlite:///./FILE"),
        ("DATABASE_URL", "sqlite:///:memory:", "DATABASE_URL must be a file: what is only in memory is lost"),
        ("SUPABASE_URL", "%s.supabase.co", "SUPABASE_URL must be a URL that begins with https://"),
    ],
)
def test_a_variable_for_the_database_that_is_wrong_is_an_error_that_names_it(name: str, value: str, words: str) -> None:
    (problem,) = refused("{}\n", **{name: value.replace("%s", SECRET)})
    assert str(problem).startswith(f"environment: {name}: {words}")
    assert SECRET not in str(problem)


def test_a_database_that_is_said_to_be_two_kinds_is_refused_without_its_password() -> None:
    (problem,) = refused(f"database:\n  type: sqlite\n  url: postgresql://root:{SECRET}@db/x\n")
    assert "`type` says sqlite, but `url` is one of postgresql" in str(problem)
    assert SECRET not in str(problem)


def test_dotenv_is_read_and_the_real_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('A=from-file\nexport B="$A ${A} # no"\nPORT=81\nC=c\n')
    text = "providers:\n  - {name: A, base_url: 'http://{{ env.A }}', headers: {b: '{{ env.B }}', c: '{{ env.C }}'}}\n"
    file = loaded(text, tmp_path, C="real")
    provider = file.config.providers[0]
    assert (provider.base_url, dict(provider.headers)) == ("http://from-file", {"b": "$A ${A} # no", "c": "real"})
    assert file.config.server.port == 81
    assert tmp_path / ".env" in file.files


def test_a_bad_variable_of_dotenv_is_said_to_be_there(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=x\n")
    (problem,) = refused("providers: []\n", tmp_path)
    assert problem.file == ".env"


def test_a_line_of_dotenv_that_cannot_be_read_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n=x y\n")
    (problem,) = refused("providers: []\n", tmp_path)
    assert (Path(problem.file).name, problem.line) == (".env", 2)


def test_a_variable_cannot_add_to_the_document() -> None:
    value = "m', priority: 1, on_loss: 'error"
    file = loaded("providers:\n  - {name: A, base_url: 'http://a', small_model: '{{ env.M }}'}\n", M=value)
    assert file.config.providers[0].small_model == value
    assert file.config.providers[0].priority == 100


def test_a_file_beside_this_one_is_read_without_the_line_break_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("sk-1\n\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "header").write_text("value\r\n")
    file = loaded(ONE % "\"{{ file('key.txt') }}\"\n    headers: {x: \"{{ file('sub/header') }}\"}", tmp_path)
    provider = file.config.providers[0]
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == "sk-1"
    assert provider.headers["x"] == "value"
    assert {tmp_path / "key.txt", tmp_path / "sub" / "header"} <= file.files


def test_a_link_may_not_lead_out_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link").symlink_to(tmp_path / "outside")
    (inner / "data").mkdir()
    (inner / "data" / "key").write_text("sk-2")
    (inner / "key").symlink_to("data/key")
    (problem,) = refused(ONE % "\"{{ file('link') }}\"", inner)
    assert "outside the directory" in problem.message
    assert loaded(ONE % "\"{{ file('key') }}\"", inner).inactive == {}


def test_a_file_that_is_not_there_yet_is_watched_for(tmp_path: Path) -> None:
    file = loaded(ONE % "\"{{ file('later') }}\"", tmp_path)
    assert tmp_path / "later" in file.files


def test_what_was_read_once_renders_to_the_same_wherever_and_whenever(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A_KEY=sk-4\n")
    (tmp_path / "here").write_text("x\n")
    secrets(tmp_path, "a: sk-3\n")
    one = ONE % "'{{ env.A_KEY }}'"
    text = one + "    headers: {a: '{{ secret.a }}', b: \"{{ file('here') }}{{ env.B }}\"}\n"
    text += "  - {name: B, base_url: http://b, api_key: \"{{ file('later') }}\"}\n"
    first = loaded(text, tmp_path, B="y")
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "later").write_text("sk-5")
    kept = first.surroundings
    again = load_text(first.text, file=first.file, directory=tmp_path, environ=kept.variables, kept=kept.files)
    assert again.config == first.config
    assert again.inactive == first.inactive == {"B": "the file later is not there"}
    assert again.revision == first.revision
    assert again.config.providers[0].headers == {"a": "sk-3", "b": "xy"}
    assert "sk-" not in repr(first)


def test_that_a_file_was_read_as_any_other_does_not_make_it_private(tmp_path: Path) -> None:
    secrets(tmp_path, "a: sk-3\n", 0o644)
    (problem,) = refused(ONE % "\"{{ file('secrets.yaml') }}{{ secret.a }}\"", tmp_path)
    assert "mode 0644" in problem.message


def secrets(directory: Path, text: str, mode: int = 0o600) -> None:
    path = directory / "secrets.yaml"
    path.write_text(text)
    path.chmod(mode)


def test_secrets_come_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    secrets(tmp_path, "a: sk-3\n'b': \"5\"\n")
    file = loaded(ONE % "'{{ secret.a }}'\n    headers: {x: '{{ secret.b }}'}", tmp_path)
    provider = file.config.providers[0]
    assert provider.api_key is not None
    assert (provider.api_key.get_secret_value(), provider.headers["x"]) == ("sk-3", "5")
    assert tmp_path / "secrets.yaml" in file.files


def test_a_missing_secret_leaves_the_provider_inactive(tmp_path: Path) -> None:
    secrets(tmp_path, "openai_key: sk-3\n", 0o400)
    file = loaded(ONE % "'{{ secret.openai }}'", tmp_path)
    assert file.inactive["A"].startswith("secrets.yaml has no `openai`")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
def test_secrets_that_others_may_read_are_refused_with_the_mode(tmp_path: Path, mode: int) -> None:
    secrets(tmp_path, "a: sk-3\n", mode)
    (problem,) = refused(ONE % "'{{ secret.a }}'", tmp_path)
    assert f"mode {mode:04o}" in problem.message
    assert problem.hint == "run `chmod 600 secrets.yaml`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [sk-3]\n", "line 1: `a` must be text"),
        ("b: x\na: 5\n", "line 2: `a` must be text"),
        ("sk-3\n", "must be a mapping"),
        ("a: 'sk-3\n", "line 1: the quote that opens here is never closed"),
        ("a: sk-3\na: sk-3\n", "line 2: the key `a` is here twice"),
        ("", "the file is empty"),
    ],
)
def test_a_secrets_file_that_is_wrong_is_refused_without_its_text(tmp_path: Path, text: str, message: str) -> None:
    secrets(tmp_path, text)
    (problem,) = refused(ONE % "'{{ secret.a }}'", tmp_path)
    assert message in problem.message
    assert "sk-3" not in str(problem)


def test_tests_and_field_maps_are_not_rendered() -> None:
    text = (
        "providers:\n  - {name: A, base_url: 'http://a', translation: {url: '${base}/{{ x }}'}}\n"
        "tests:\n  - name: t\n    request: {path: /v1/messages, body: {system: 'say {{ nothing }} {% here %}'}}\n"
        "    expect: {}\n"
    )
    file = loaded(text)
    assert file.config.tests[0].request.body["system"] == "say {{ nothing }} {% here %}"
    assert [(warning.line, warning.path) for warning in file.warnings] == [(2, "providers[0].translation.url")]


def test_the_process_environment_is_read_when_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-4")
    path = tmp_path / "portbroker.yaml"
    path.write_text(ONE % "'{{ env.A_KEY }}'")
    file = load(path)
    assert file.inactive == {}
    assert path in file.files
    assert os.environ["A_KEY"] == "sk-4"


def test_durations_and_timeouts_are_read() -> None:
    text = "providers:\n" + "".join(
        f"  - {{name: '{index}', base_url: 'http://a', timeout: {value}}}\n"
        for index, value in enumerate(("30", "500ms", "{connect: 5s, total: 1h}", "1.5"))
    )
    first, second, third, fourth = (provider.timeout for provider in loaded(text).config.providers)
    assert (first.first_byte, first.idle, first.total) == (30, 30, 3600)
    assert second.idle == 0.5
    assert (third.connect, third.total) == (5, 3600)
    assert fourth.first_byte == 1.5
