import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
from pydantic import SecretStr

from drivers.errors import EncoderError
from drivers.visionline import wire
from drivers.visionline.client import Access, Client
from drivers.visionline.trust import ByAuthority, Trust
from tests.drivers.visionline.house import DOOR, PASSWORD, SECRETS, USER, House, house, written

MakeClient = Callable[..., Client]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[House]:
    with house(authority) as server:
        yield server


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(authority, tmp_path_factory.mktemp("authority") / "ca.pem")


@pytest.fixture
def make_client(server: House, ca_file: Path) -> Iterator[MakeClient]:
    made: list[Client] = []

    def make(trust: Trust | None = None, *, timeout_s: float = 30.0, password: str = PASSWORD, url: str = "") -> Client:
        access = Access(url or server.url, USER, lambda: SecretStr(password), trust or ByAuthority(ca_file), timeout_s)
        made.append(Client(access))
        return made[-1]

    yield make
    server.relent()
    for client in made:
        client.close()


@dataclass
class Trouble:
    """Looks on as a call fails."""

    caught: list[EncoderError] = field(default_factory=list)

    def of(self, kind: type[EncoderError], call: Callable[[], object]) -> EncoderError:
        with pytest.raises(kind) as found:
            call()
        assert type(found.value) is kind
        self.caught.append(found.value)
        return found.value


@pytest.fixture
def trouble(server: House, caplog: pytest.LogCaptureFixture) -> Iterator[Trouble]:
    """Nothing secret gets into what is said of the trouble, nor into any log."""
    caplog.set_level(logging.DEBUG)
    trouble = Trouble()
    yield trouble
    said = [caplog.text]
    for error in trouble.caught:
        assert error.message
        assert error.next_step
        said += ["".join(traceback.format_exception(error)), repr(error), str(error), repr(error.data)]
    signatures = [heard.headers["authorization"] for heard in server.heard if "authorization" in heard.headers]
    for secret in (*SECRETS, quote(DOOR), *(signature.rpartition(":")[2] for signature in signatures)):
        assert not any(secret in text for text in said)


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    client = make_client()
    client.connect()
    return client


@pytest.fixture
def no_patience(server: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is up as soon as the server keeps someone waiting; until then there is all the time in the world."""

    class Patience:
        def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
            self._cut = cut
            self._is_over = False

        def start(self) -> None:
            if server.is_late.is_set():
                self._cut()
            else:
                server._start(self._wait)

        def _wait(self) -> None:
            if server.is_late.wait(60) and not self._is_over:
                self._cut()

        def cancel(self) -> None:
            self._is_over = True

    monkeypatch.setattr(wire, "Timer", Patience)
