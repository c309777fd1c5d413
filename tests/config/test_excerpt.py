"""The line of a problem, without what it must not show."""

import pytest

from portbroker.config.excerpt import excerpt
from portbroker.errors import Problem


def shown(line: str, column: int) -> str:
    return "\n".join(excerpt(Problem("f", 1, column, "m"), line))


def test_the_word_is_underlined() -> None:
    assert shown("    provider_type: opneai # x", 20) == (
        " 1 |     provider_type: opneai # x\n   |                    ^^^^^^"
    )
    assert shown('a: "b c" # d', 4).endswith("|    ^^^^^")


def test_a_problem_of_the_whole_file_has_no_line() -> None:
    assert excerpt(Problem("f", 0, 0, "m"), "a: 1") == []
    assert excerpt(Problem("f", 9, 1, "m"), "a: 1") == []


def test_a_tab_takes_one_column_and_a_long_line_is_cut_around_the_place() -> None:
    assert "\t" not in shown("\ta: b", 2)
    first, second = shown("x" * 400 + " bad " + "y" * 400, 402).split("\n")
    assert len(first) < 120
    assert first[second.index("^") :].startswith("bad")


@pytest.mark.parametrize(
    "line",
    [
        "    api_key: s3cr3t-value",
        "    api_key: 's3cr3t-value'",
        '    "api_key": "s3cr3t-value',
        "  - {name: A, api_key: s3cr3t-value, prioritty: 1}",
        "    apiKey: s3cr3t-value and more # note",
        "    authorization: Bearer s3cr3t-value",
        "    my_token: s3cr3t-value",
        "    x: sk-s3cr3t-value",
        "    x: abcdefs3cr3t-value0123456789abcdef".replace("-", "x"),
        "    client-secret: s3cr3t-value",
        "    proxy: http://user:s3cr3t-value@proxy.test:3128",
        "    proxy: 'user:s3cr3t-value'",
        "  - {name: A, proxy: http://user:a,s3cr3t@proxy.test, prioritty: 1}",
        "    base_url: https://user:s3cr3t-value@api.test/v1",
    ],
)
def test_a_secret_in_the_line_is_not_shown(line: str) -> None:
    for column in range(1, len(line) + 2):
        assert "s3cr3t" not in shown(line, column)


def test_the_caret_stays_under_its_word_behind_a_secret() -> None:
    line = "  - {name: A, api_key: sk-0123456789, prioritty: 1}"
    first, second = shown(line, line.index("prioritty") + 1).split("\n")
    assert first[second.index("^") :].startswith("prioritty")


def test_a_template_is_no_secret() -> None:
    assert "{{ evn.KEY }}" in shown('    api_key: "{{ evn.KEY }}"', 14)


@pytest.mark.parametrize(
    "line", ["  max_output_tokens: 100", "  m: {context_window: 9, max_output_tokens: 200}}", '"max_tokens": 5,']
)
def test_a_number_of_tokens_is_no_secret(line: str) -> None:
    assert shown(line, 1).split("\n")[0] == f" 1 | {line}"


def test_a_token_of_digits_is_one() -> None:
    assert "123456" not in shown("  my_token: 123456", 1)
    assert "123456" not in shown("  tokens: sk-123456789", 1)
