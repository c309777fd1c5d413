"""The caller: who asks, and what for.

The one rule: a caller is a value made once from a key; asking it costs nothing where the key says nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from portbroker.aliases import meant_model
from portbroker.errors import CallError
from portbroker.fieldmap.globs import compile_glob
from portbroker.snapshot import Target
from portbroker.store.records import ApiKey, Budget, KeyLimits, Scopes

Allowed = Callable[[str], bool]
"""Whether a name is within a scope."""

_COUNT_TOKENS = "/count_tokens"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `key` is None, and `id` empty, for a caller of this machine who shows none.

    `routes`, `models` and `providers` say what may be asked for; None: anything. `bounded`: there are limits, or a
    budget, to ask before a call.
    """

    id: str
    name: str
    key: ApiKey | None = field(default=None, repr=False)
    admin: bool = False
    scopes: Scopes = field(default_factory=Scopes)
    limits: KeyLimits = field(default_factory=KeyLimits)
    budget: Budget | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    routes: Allowed | None = None
    models: Allowed | None = None
    providers: Allowed | None = None
    limited: bool = False
    bounded: bool = False

    @classmethod
    def of(cls, key: ApiKey) -> "Caller":
        """Whoever shows this key."""
        scopes = key.scopes
        limited = key.limits != KeyLimits()
        return cls(
            key.id, key.name, key, key.admin, scopes, key.limits, key.budget, key.tags, key.metadata,
            routes=_within(scopes.routes), models=_within(scopes.models), providers=_within(scopes.providers),
            limited=limited, bounded=limited or key.budget is not None,
        )  # fmt: skip

    @property
    def key_name(self) -> str:
        """The name of the key that was shown; empty for none."""
        return self.name if self.id else ""

    def check_route(self, path: str) -> None:
        """Raises `CallError` (403) for a path that the key is not for. Who may call may also count its tokens."""
        if self.routes is not None and not self.routes(path) and not self.routes(path.removesuffix(_COUNT_TOKENS)):
            raise self._beyond(f"the path {path[:200]}")

    def check_model(self, model: str) -> None:
        """Raises `CallError` (403) for a model that the key is not for, by the name that was asked for."""
        if self.models is not None and not self.models(meant_model(model)):
            raise self._beyond(f"the model {model[:100]!r}", param="model")

    def may_use(self, target: Target) -> bool:
        """Whether the key is for the target's provider."""
        return self.providers is None or self.providers(target.provider.name)

    def within(self, targets: Sequence[Target]) -> Sequence[Target]:
        """Those of the targets that the key is for. Raises `CallError` (403) when it is for none."""
        allowed = [target for target in targets if self.may_use(target)]
        if not allowed:
            raise self._beyond("any provider that serves this model", param="model")
        return allowed

    def _beyond(self, what: str, param: str | None = None) -> CallError:
        return CallError(f"this API key is not for {what}", kind="permission", status=403, param=param)


LOCAL = Caller("", "local")
"""A caller of this machine who shows no key, where none is needed."""


def _within(globs: tuple[str, ...] | None) -> Allowed | None:
    return None if globs is None else compile_glob(globs)
