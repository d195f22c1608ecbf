"""What an operation is: a path, its methods, its parameters and the handler that answers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agent.sandbox.parameters import Parameters
from agent.sandbox.store import Store

P = TypeVar("P", bound=Parameters)

READ = ("GET", "POST")
WRITE = ("POST",)
CHANGE = ("PATCH", "POST")
DELETE = ("DELETE", "POST")


@dataclass(frozen=True)
class Call:
    """One request, as far as a handler needs it. `url` has no query; `headers` are without regard to case."""

    store: Store
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Operation(Generic[P]):
    """One operation. `answer` returns the JSON text of a 200, or raises a `ServiceError`; it may block."""

    path: str
    methods: tuple[str, ...]
    parameters: type[P]
    answer: Callable[[Call, P], str]


Operations = tuple[Operation[Any], ...]
