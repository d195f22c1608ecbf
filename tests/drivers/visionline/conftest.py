from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from drivers.visionline.client import Access, Client
from drivers.visionline.trust import ByAuthority, Trust
from tests.drivers.visionline.house import PASSWORD, USER, House, house, written

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
