"""How connections to each provider leave: with which TLS files, and through which proxy.

The one rule: a file that cannot be used is found now, at its place in the configuration, and not by the first call.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath

from portbroker.config.environment import Environment
from portbroker.config.model import Config, ProviderConfig
from portbroker.config.place import Finding
from portbroker.config.proxies import DIRECT, of_environment, proxy_of
from portbroker.config.syntax import Fault
from portbroker.errors import Problem
from portbroker.origin import Way

_PEM = {
    "ca_file": "it must hold certificates in PEM form: -----BEGIN CERTIFICATE-----",
    "client_cert": "it must hold both in PEM form, the certificate and its key",
}


def find_ways(config: Config, environment: Environment) -> tuple[dict[str, Way], list[Finding], list[Problem]]:
    """The way to each provider, by its name, and what is wrong: in the file, and in the environment."""
    proxy, direct, problems = of_environment(environment)
    by_default = Way(proxy=proxy, direct=direct)
    findings: list[Finding] = []
    ways = {}
    for index, provider in enumerate(config.providers):
        ca_file, client_cert = (_file(index, provider, word, environment, findings) for word in _PEM)
        ways[provider.name] = replace(_way(provider) or by_default, ca_file=ca_file, client_cert=client_cert)
    heeded = any(provider.is_active and provider.proxy is None for provider in config.providers)
    return ways, findings, problems if heeded else []


def _way(provider: ProviderConfig) -> Way | None:
    """What the provider says itself of a proxy."""
    if provider.proxy is None:
        return None
    word = provider.proxy.get_secret_value()
    return Way() if word == DIRECT else Way(proxy=proxy_of(word))


def _file(
    index: int, provider: ProviderConfig, word: str, environment: Environment, findings: list[Finding]
) -> str | None:
    """The path of a TLS file. One that cannot be used goes to `findings`."""
    name = getattr(provider, word)
    try:
        return None if name is None else _path(provider, word, name, environment)
    except Fault as fault:
        findings.append(Finding(("providers", index, word), fault.message, fault.hint))
        return None


def _path(provider: ProviderConfig, word: str, name: str, environment: Environment) -> str:
    if (provider.base_url or "").startswith("http://"):
        raise Fault("does nothing for a `base_url` without TLS", hint="write https://, or leave this out")
    return environment.path(name, partial(_check, word))


def _check(word: str, path: FilePath) -> None:
    import ssl  # only where there is such a file: it costs start-up time

    from portbroker import tls

    try:
        if word == "ca_file":
            tls.trusting(str(path))
        else:
            tls.show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), str(path))
    except tls.UnfitFile as error:
        raise Fault(f"the file {error}", hint=_PEM[word]) from None
