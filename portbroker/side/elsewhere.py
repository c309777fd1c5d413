"""What a provider keeps of a response that it made itself: deleted there when its caller has it deleted here.

The one rule: nothing is called deleted that somebody may still have.
"""

import orjson

from portbroker.errors import GatewayError, ProviderError
from portbroker.kept_responses import KeptResponse
from portbroker.snapshot import Snapshot
from portbroker.upstream import StatusSink, Upstream, UpstreamRequest

_GONE = 404


async def delete_elsewhere(kept: KeptResponse, snapshot: Snapshot, upstream: Upstream) -> None:
    """Have the provider that made a response delete it, with each of its keys until one may.

    Raises `GatewayError` when the provider cannot be asked any more, and `ProviderError` when it does not.
    """
    provider, model = snapshot.providers.get(kept.provider), orjson.loads(kept.response).get("model")
    if provider is None or not provider.active or not isinstance(model, str):
        message = (
            f"{kept.provider} keeps this response too, and cannot be asked to delete it: it is not active any more"
        )
        raise GatewayError(message, status=409)
    target = snapshot.target(provider, model)
    status = 0
    for key in target.credentials:
        sink = StatusSink()
        path = target.path_with("", f"/responses/{kept.id}")
        request = UpstreamRequest(
            target.origin, path, key.headers, b"", provider.timeouts, provider=provider.name, method="DELETE"
        )
        attempt = upstream.send(request, sink)
        try:
            status = await sink.status
        finally:
            attempt.cancel()
        if status < 300:
            return
    if status != _GONE:
        raise ProviderError(f"{provider.name} did not delete the response (HTTP {status})", provider=provider.name)
