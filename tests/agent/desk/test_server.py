from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from agent.config import DeskConfig
from agent.desk.server import DeskServer
from agent.desk.sockets import listen_on_path
from tests.rig.agent import Running


def another(bare: Running, folder: Path, **changes: str) -> DeskServer:
    config = {"listen": "127.0.0.1:0", "socket": str(folder / "other.sock")} | changes
    return DeskServer(DeskConfig.model_validate(config), bare.agent.operations, token_path=folder / "other-token")


async def test_a_taken_port_is_named_and_nothing_is_left_behind(bare: Running, tmp_path: Path) -> None:
    server = another(bare, tmp_path, listen=bare.url.removeprefix("http://"))
    with pytest.raises(OSError, match=r"Port \d+ is taken.*desk.listen"):
        await server.start()
    assert not (tmp_path / "other.sock").exists()
    await server.stop()


async def test_a_socket_that_answers_stays(bare: Running, tmp_path: Path) -> None:
    server = another(bare, tmp_path, socket=str(tmp_path / "control.sock"))
    with pytest.raises(OSError, match=r"another agent answers there.*desk.socket"):
        await server.start()
    await server.stop()
    async with bare.control() as control:
        assert (await control.get("/livez")).status_code == 200


async def test_it_starts_and_stops_and_lets_go(bare: Running, tmp_path: Path) -> None:
    server = another(bare, tmp_path, socket=str(tmp_path / "run" / "card-encoder" / "control.sock"))
    assert server.url == "http://127.0.0.1:0"
    await server.start()
    host, port = server.url.removeprefix("http://").split(":")
    path = tmp_path / "run" / "card-encoder" / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    socket.create_connection((host, int(port))).close()
    await server.stop()
    assert not path.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


async def test_it_listens_on_ipv6_too(bare: Running, tmp_path: Path) -> None:
    server = another(bare, tmp_path, listen="[::1]:0")
    try:
        await server.start()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    assert server.url.startswith("http://[::1]:")
    await server.stop()


def test_what_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    listen_on_path(path).close()
    assert path.exists()
    with listen_on_path(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_file_is_not_taken_for_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(OSError, match="something else lies there"):
        listen_on_path(path)
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"too long.*desk.socket"):
        listen_on_path(tmp_path / ("x" * 120))
