"""The desk's two listening sockets: a loopback port, and the control socket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

_ANSWER_TIME_S = 1.0


def listen_on_loopback(host: str, port: int) -> socket.socket:
    """A TCP socket; port 0 lets the system choose.

    Raises:
        OSError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only on sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise OSError(error.errno, f"The desk can't listen on {host}:{port} ({error.strerror}).") from error
        message = (
            f"Port {port} is taken: another agent or program listens there. Stop it, or set desk.listen to another."
        )
        raise OSError(error.errno, message) from error
    return listener


def listen_on_path(path: Path) -> socket.socket:
    """The control socket, for its owner and group (mode 0660). A socket that a crash left behind is replaced.

    Raises:
        OSError: another agent answers there, something else lies there, or the folder can't be used.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        _remove_stale(path)
        os.fchmod(listener.fileno(), 0o660)  # before it has a name: at no moment may others connect
        listener.bind(str(path))
        os.chmod(path, 0o660)
        listener.listen()
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"The control socket {path} can't be opened ({reason}). See desk.socket.") from error
    return listener


def _remove_stale(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(errno.EEXIST, "something else lies there")
        if _somebody_answers(path):
            raise OSError(errno.EADDRINUSE, "another agent answers there")
        path.unlink()


def _somebody_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_TIME_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except TimeoutError:
            return True
        return True
