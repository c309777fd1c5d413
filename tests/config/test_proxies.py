"""How connections leave: the file's proxies, the environment's, and the files that TLS needs."""

import base64
from pathlib import Path

import pytest
import trustme

from portbroker.config.load import Loaded, load_text
from portbroker.config.proxies import no_proxy, proxy_of
from portbroker.errors import ConfigError, Problem
from portbroker.origin import Origin, Proxy
from portbroker.workers.messages import Inbox, Prepare, encode

SECRET = "s3cr3t"
PROXY = "http://proxy.test:3128"
ACME = "https://api.acme.test/v1"
ONE = "providers:\n  - name: Acme\n    base_url: %s\n"


def loaded(text: str, directory: Path = Path(), /, **environ: str) -> Loaded:
    return load_text(text.encode(), file="portbroker.yaml", directory=directory, environ=environ)


def refused(text: str, directory: Path = Path(), /, **environ: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        loaded(text, directory, **environ)
    (problem,) = caught.value.problems
    assert SECRET not in f"{problem} {problem!r}"
    return problem


def between(url: str, /, words: str = "", **environ: str) -> str | None:
    """The proxy that a provider is reached through."""
    proxy = loaded(ONE % url + words, **environ).ways["Acme"].to(url).proxy
    return str(proxy) if proxy else None


# URLs


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.test:3128", Proxy("proxy.test", 3128)),
        ("HTTP://Proxy.Test:3128/", Proxy("proxy.test", 3128)),
        ("http://proxy.test", Proxy("proxy.test", 80)),
        ("http://10.0.0.1:8080", Proxy("10.0.0.1", 8080)),
        ("http://[::1]:8080", Proxy("::1", 8080)),
        ("http://u:p@proxy.test:1", Proxy("proxy.test", 1, "Basic dTpw")),
        ("http://u@proxy.test:1", Proxy("proxy.test", 1, "Basic dTo=")),
        ("http://:p@proxy.test:1", Proxy("proxy.test", 1, "Basic OnA=")),
    ],
)
def test_a_url_names_a_proxy(url: str, proxy: Proxy) -> None:
    assert proxy_of(url) == proxy


def test_credentials_are_sent_as_they_are_meant() -> None:
    sent = proxy_of("http://d%C3%B6:a%40b%3Ac%2F@proxy.test:1").authorization
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == "dö:a@b:c/"


def test_a_proxy_is_shown_as_host_and_port() -> None:
    proxy = proxy_of(f"http://user:{SECRET}@proxy.test:3128")
    assert str(proxy) == "proxy.test:3128"
    assert str(proxy_of("http://[::1]:3128")) == "[::1]:3128"
    assert proxy.authorization not in repr(proxy)
    assert proxy.authorization not in repr(Origin("https", "a", 1, proxy=proxy))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"https://u:{SECRET}@proxy.test", "proxies that speak https cannot be used"),
        ("socks5h://proxy.test:1080", "proxies that speak socks5h cannot be used"),
        (f"{SECRET}://proxy.test:1080", "must be http://host:port"),
        ("proxy.test:3128", "must be http://host:port"),
        ("http://", "must be http://host:port"),
        (f"http://u:{SECRET}@", "must be http://host:port"),
        (f"http://u:{SECRET}/x@proxy.test:1", "in a password, / is written %2F"),
        (f"http://proxy.test:1/{SECRET}", "in a password"),
        (f"http://proxy.test:1?{SECRET}", "in a password"),
        (f"http://proxy.test:{SECRET}", "must be http://host:port"),
        ("http://proxy.test:99999", "must be http://host:port"),
        ("http://[::1", "must be http://host:port"),
        ("http://pro xy.test:1", "must be http://host:port"),
        (f"http://a%3A:{SECRET}@proxy.test:1", "cannot hold a colon"),
        (f"http://u:{SECRET}ö@proxy.test:1", "not plain ASCII"),
        (f'"http://u:{SECRET}\\n@proxy.test:1"', "holds a line break"),
        ("direct", "or none to go direct"),
        ("''", "or none to go direct"),
    ],
)
def test_what_names_no_proxy_is_refused_at_its_place_and_not_shown(url: str, message: str) -> None:
    problem = refused(ONE % ACME + f"    proxy: {url}\n")
    assert (problem.line, problem.column, problem.path) == (4, 12, "providers[0].proxy")
    assert message in problem.message


# The file's own word


def test_a_provider_goes_through_the_proxy_that_it_names() -> None:
    for url in (ACME, "http://api.acme.test/v1", "https://127.0.0.1/v1"):
        assert between(url, f"    proxy: {PROXY}\n") == "proxy.test:3128"


def test_the_file_has_the_last_word_over_the_environment() -> None:
    assert between(ACME, f"    proxy: {PROXY}\n", HTTPS_PROXY="http://other.test:1", NO_PROXY="*") == "proxy.test:3128"
    assert between(ACME, "    proxy: none\n", HTTPS_PROXY=PROXY) is None


def test_a_proxy_can_come_from_a_template_and_is_never_shown() -> None:
    file = loaded(ONE % ACME + "    proxy: '{{ env.PROXY_URL }}'\n", PROXY_URL=f"http://u:{SECRET}@proxy.test:1")
    assert file.ways["Acme"].to(ACME).proxy == Proxy("proxy.test", 1, "Basic dTpzM2NyM3Q=")
    shown = f"{file!r} {file} {file.config!r} {file.ways!r} {file.config.model_dump()} {file.config.model_dump_json()}"
    assert SECRET not in shown
    assert "dTpzM2NyM3Q" not in shown


def test_a_proxy_whose_variable_is_not_set_is_no_reason_to_go_without() -> None:
    assert "PROXY_URL is not set" in refused(ONE % ACME + "    proxy: '{{ env.PROXY_URL }}'\n").message


# The environment's


def test_providers_over_https_go_through_the_proxy_of_the_environment() -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        assert between(ACME, **{name: PROXY}) == "proxy.test:3128"
    assert between(ACME, HTTPS_PROXY="proxy.test:3128") == "proxy.test:3128"
    assert between(ACME, HTTPS_PROXY="") is None


def test_nobody_else_does() -> None:
    assert between("http://api.acme.test/v1", HTTPS_PROXY=PROXY, HTTP_PROXY=PROXY, http_proxy=PROXY) is None
    assert between(ACME, HTTP_PROXY=PROXY, http_proxy=PROXY, ALL_PROXY=PROXY, REQUEST_METHOD="GET") is None
    for host in ("localhost", "LOCALHOST.", "models.localhost", "127.0.0.1", "127.1.2.3", "[::1]"):
        assert between(f"https://{host}:8443/v1", HTTPS_PROXY=PROXY) is None


def test_small_letters_win_over_capitals_and_the_process_over_dotenv(tmp_path: Path) -> None:
    assert between(ACME, https_proxy=PROXY, HTTPS_PROXY="http://other.test:1") == "proxy.test:3128"
    assert between(ACME, https_proxy="", HTTPS_PROXY=PROXY) is None
    (tmp_path / ".env").write_text("https_proxy=http://dotenv.test:1\nno_proxy=x.test\n")
    way = loaded(ONE % ACME, tmp_path).ways["Acme"]
    assert str(way.to(ACME).proxy) == "dotenv.test:1"
    assert way.to("https://x.test").proxy is None
    way = loaded(ONE % ACME, tmp_path, HTTPS_PROXY=PROXY).ways["Acme"]
    assert str(way.to(ACME).proxy) == "proxy.test:3128"


@pytest.mark.parametrize("url", [f"socks5://u:{SECRET}@proxy.test:1", f"https://u:{SECRET}@p.test", f"u:{SECRET}@:x"])
def test_a_variable_that_names_no_proxy_is_an_error_rather_than_a_way_around_it(url: str) -> None:
    problem = refused(ONE % ACME, HTTPS_PROXY=url)
    assert (problem.file, problem.path) == ("environment", "HTTPS_PROXY")
    assert problem.message.startswith("HTTPS_PROXY must be http://host:port")


def test_a_variable_that_no_provider_heeds_may_say_what_it_likes() -> None:
    assert between(ACME, "    proxy: none\n", HTTPS_PROXY="socks5://p.test:1") is None
    loaded(ONE % ACME + "    is_active: false\n", HTTPS_PROXY="socks5://p.test:1")


@pytest.mark.parametrize(
    ("text", "host", "port", "direct"),
    [
        ("", "acme.test", 443, False),
        ("*", "acme.test", 443, True),
        ("acme.test", "acme.test", 443, True),
        ("ACME.Test", "acme.test", 443, True),
        ("acme.test", "Acme.Test.", 443, True),
        ("acme.test.", "acme.test", 443, True),
        ("acme.test", "api.acme.test", 443, True),
        (".acme.test", "api.acme.test", 443, True),
        (".acme.test", "acme.test", 443, True),
        ("*.acme.test", "api.acme.test", 443, True),
        ("acme.test", "notacme.test", 443, False),
        ("acme.test", "acme.test.evil", 443, False),
        ("test", "acme.test", 443, True),
        ("a.test,acme.test", "acme.test", 443, True),
        (" a.test , acme.test ,", "acme.test", 443, True),
        ("a.test acme.test", "acme.test", 443, True),
        ("acme.test:8443", "acme.test", 8443, True),
        ("acme.test:8443", "acme.test", 443, False),
        (".acme.test:443", "api.acme.test", 443, True),
        ("*:8443", "acme.test", 8443, True),
        ("10.0.0.5", "10.0.0.5", 443, True),
        ("10.0.0.0/8", "10.0.0.5", 443, False),
        ("2001:db8::1", "2001:db8::1", 443, True),
        ("[2001:db8::1]", "2001:db8::1", 443, True),
        ("[2001:db8::1]:443", "2001:db8::1", 443, True),
        ("[2001:db8::1]:444", "2001:db8::1", 443, False),
        (",:,.", "acme.test", 443, False),
    ],
)
def test_no_proxy_is_read_as_is_usual(text: str, host: str, port: int, direct: bool) -> None:
    assert no_proxy(text)(Origin("https", host, port)) is direct


# Files for TLS

CA = trustme.CA()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """One that holds `ca.pem` and `client.pem`, and some that will not do."""
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = CA.issue_cert("gateway@acme.test")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "half.pem")
    (tmp_path / "text.pem").write_text("a\n")
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "folder").mkdir()
    return tmp_path


FILES = ONE % ACME + "    ca_file: %s\n    client_cert: %s\n"


def test_files_are_found_from_the_directory_of_the_configuration_and_watched(directory: Path) -> None:
    file = loaded(FILES % ("ca.pem", "'{{ env.CERT }}'"), directory, CERT=str(directory / "client.pem"))
    origin = file.ways["Acme"].to(ACME)
    assert origin == Origin("https", "api.acme.test", 443, str(directory / "ca.pem"), str(directory / "client.pem"))
    assert {directory / "ca.pem", directory / "client.pem"} <= file.files


@pytest.mark.parametrize(
    ("word", "name", "message"),
    [
        ("ca_file", "ca.pam", "the file is not there"),
        ("ca_file", "nowhere/ca.pem", "the file is not there"),
        ("ca_file", "folder", "the file is a directory"),
        ("ca_file", "text.pem", "the file holds no certificates"),
        ("ca_file", "empty.pem", "the file holds no certificates"),
        ("client_cert", "cleint.pem", "the file is not there"),
        ("client_cert", "half.pem", "the file holds no certificate with an unencrypted key"),
        ("client_cert", "ca.pem", "the file holds no certificate with an unencrypted key"),
        ("client_cert", "text.pem", "the file holds no certificate with an unencrypted key"),
    ],
)
def test_a_file_that_cannot_be_used_is_found_at_its_place(directory: Path, word: str, name: str, message: str) -> None:
    problem = refused(ONE % ACME + f"    {word}: {name}\n", directory)
    assert (problem.line, problem.column) == (4, 7 + len(word))
    assert problem.message == message


def test_a_name_that_is_nearly_right_is_proposed(directory: Path) -> None:
    assert refused(ONE % ACME + "    ca_file: ca.pam\n", directory).hint == "did you mean ca.pem?"


def test_a_file_for_tls_where_there_is_none_is_a_mistake(directory: Path) -> None:
    problem = refused(ONE % "http://api.acme.test" + "    ca_file: ca.pem\n", directory)
    assert problem.message == "does nothing for a `base_url` without TLS"


def test_workers_go_the_same_way_whatever_has_become_of_the_environment(directory: Path) -> None:
    (directory / ".env").write_text("no_proxy=x.test\n")
    text = FILES % ("ca.pem", "client.pem") + f"  - {{name: Own, base_url: {ACME}, proxy: '{{{{ env.OWN }}}}'}}\n"
    first = loaded(text, directory, HTTPS_PROXY=PROXY, OWN="http://u:p@own.test:1")
    for name in (".env", "ca.pem", "client.pem"):
        (directory / name).unlink()
    (message,) = Inbox().feed(encode(Prepare.of(first, 1, directory)))
    assert isinstance(message, Prepare)
    assert message.load().ways == first.ways
    assert [str(way.to(ACME).proxy) for way in first.ways.values()] == ["proxy.test:3128", "own.test:1"]
    assert first.ways["Acme"].to("https://x.test").proxy is None
