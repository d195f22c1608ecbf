"""An encoder of the sandbox service's, at the end of a wire that can be cut, and the person who uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from agent.sandbox.attempts import release
from agent.sandbox.hotel import fill_hotel
from agent.sandbox.store import Store
from agent.sandbox.turns import ActionType, Turn, script, take_turn
from drivers.content import ServiceOrder
from drivers.encoder import EncodeRequest, FoundCard, OrderNote, Progress, ServiceAccess
from drivers.seam.driver import SeamEncoder
from tests.agent.guests import delete
from tests.agent.sandbox.conftest import Opened
from tests.agent.sandbox.encoding import credential, encoder_of, new_card
from tests.drivers.seam.wire import Wire, wire_to
from tests.rig.sandbox import KEY, Sandbox, serving

ORDER = "/acs/encoders/encode_credential"
SCAN = "/acs/encoders/scan_credential"
ATTEMPT = "/action_attempts/get"
CREDENTIAL = "/acs/credentials/get"
EMPTY = Turn(scenario="credential_on_encoder_is_empty")
QUICK: dict[str, Any] = {"patience_s": 30.0, "poll_s": 0.01, "pause_s": 0.05, "timeout_s": 10.0}


@dataclass
class Desk:
    """The service, its first encoder, and what was written down of the orders to it."""

    sandbox: Sandbox
    client: httpx.Client
    wire: Wire
    acs_encoder_id: str
    found: list[FoundCard] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    notes: list[OrderNote | None] = field(default_factory=list)
    """All that was noted. The last one is what an agent hands over at the next try."""

    def scans(self, *turns: Turn) -> None:
        script(self.sandbox.store, self.acs_encoder_id, "SCAN_CREDENTIAL", *turns)

    def encodes(self, *turns: Turn) -> None:
        script(self.sandbox.store, self.acs_encoder_id, "ENCODE_CREDENTIAL", *turns)

    def credential(self, **members: Any) -> str:
        return new_card(self.client, **members)

    def told(self, acs_credential_id: str) -> dict[str, Any]:
        return credential(self.client, acs_credential_id)

    def forget_turns(self, action_type: ActionType = "ENCODE_CREDENTIAL") -> None:
        while take_turn(self.sandbox.store, self.acs_encoder_id, action_type) != Turn():
            pass

    def request(
        self,
        acs_credential_id: str,
        *,
        insists: bool = False,
        number: str | None = None,
        once_noted: Callable[[], None] = lambda: None,
    ) -> EncodeRequest:
        """What was noted last is handed over. `once_noted` happens after the first note, just before the order."""
        noted = self.notes[-1] if self.notes else None
        happens = [once_noted]

        def note(known: OrderNote | None) -> None:
            self.notes.append(known)
            if happens:
                happens.pop()()

        return EncodeRequest(
            ServiceOrder(acs_credential_id, number),
            self.found.append,
            self.progress.append,
            note=note,
            noted=noted,
            insists=insists,
        )

    @property
    def orders(self) -> int:
        """How many orders to encode the service has got."""
        return self.wire.arrived[ORDER]

    def attempts(self, action_type: str = "ENCODE_CREDENTIAL") -> list[dict[str, Any]]:
        listed = self.client.post("/action_attempts/list", json={}).json()["action_attempts"]
        return [attempt for attempt in listed if attempt["action_type"] == action_type]

    def release(self, action_type: str = "ENCODE_CREDENTIAL") -> None:
        """Let the attempts of this type end that stay pending."""
        for attempt in self.attempts(action_type):
            release(self.sandbox.store, attempt["action_attempt_id"])


@pytest.fixture(scope="session")
def opened() -> Iterator[Opened]:
    app = Opened()
    with serving(app) as app.url:
        yield app


@pytest.fixture
def sandbox(opened: Opened) -> Iterator[Sandbox]:
    store = Store()
    fill_hotel(store, 0)
    opened.open(store)
    yield Sandbox(opened.url, KEY, store)
    store.close()


@pytest.fixture
def service(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A service without guests."""
    with sandbox.client() as checking:
        for each in checking.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            delete(checking, each["acs_credential_id"])
        yield checking


@pytest.fixture
def wire(sandbox: Sandbox) -> Iterator[Wire]:
    with wire_to(sandbox.url) as wire:
        yield wire


@pytest.fixture
def desk(sandbox: Sandbox, service: httpx.Client, wire: Wire) -> Desk:
    return Desk(sandbox, service, wire, encoder_of(service))


Make = Callable[..., SeamEncoder]


@pytest.fixture
def make(desk: Desk) -> Iterator[Make]:
    """An encoder with these options, opened."""
    made: list[SeamEncoder] = []

    def make(**options: Any) -> SeamEncoder:
        if "encoder" not in options:
            options.setdefault("acs_encoder_id", desk.acs_encoder_id)
        encoder = SeamEncoder("Desk", SeamEncoder.options_model.model_validate(QUICK | options))
        encoder.service = ServiceAccess(desk.wire.url, lambda: SecretStr(desk.sandbox.key))
        made.append(encoder)
        encoder.open()
        return encoder

    yield make
    for encoder in made:
        encoder.close()


@pytest.fixture
def encoder(make: Make) -> SeamEncoder:
    return make()
