"""The whole admin API. One rule: what is not joined here is not served."""

from portbroker.admin.api import Api
from portbroker.admin.api_keys import ApiKeys
from portbroker.admin.audit import Audit
from portbroker.admin.configuration import ConfigurationPage
from portbroker.admin.console import Console
from portbroker.admin.failures import Failures
from portbroker.admin.health import HealthPage
from portbroker.admin.metrics import MetricsPage
from portbroker.admin.parts import Parts, Section
from portbroker.admin.provider_file import ProviderFile
from portbroker.admin.providers import Providers
from portbroker.admin.sessions import Login, Sessions
from portbroker.admin.signin import AdminKeys, LocalToken, Proof, SignIn
from portbroker.admin.trials import Trials
from portbroker.admin.usage import Usage


def joined(parts: Parts) -> Api:
    """The API over these parts."""
    sections: list[Section] = [Console(), HealthPage(parts), Trials(parts.gateway)]
    proofs: list[Proof] = [LocalToken(parts.token)]
    failures = Failures()
    if parts.configuration:
        sections.append(ConfigurationPage(parts.configuration))
        sections.append(Providers(ProviderFile(parts.configuration), parts.store))
    if parts.store and parts.keyring:
        sessions, keys, pepper = Sessions(parts.secret, parts.store), AdminKeys(parts.keyring), parts.keyring.pepper
        proofs += [sessions, keys]
        sections += [
            Login(sessions, SignIn(keys, failures=failures), parts.store, pepper),
            ApiKeys(parts.store, pepper),
            Usage(parts.store),
            Audit(parts.store),
        ]
    sign_in = SignIn(*proofs, failures=failures)
    sections.append(MetricsPage(parts, sign_in))
    endpoints = [endpoint for section in sections for endpoint in section.endpoints()]
    return Api(endpoints, sign_in, parts.gateway)
