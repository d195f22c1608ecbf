"""systemd's notification protocol (sd_notify(3)): a datagram on the socket that it names."""

from __future__ import annotations

import os
import socket


def notify(*lines: str) -> bool:
    """Send lines such as `READY=1`. Returns whether anybody listens; never raises."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect(address)
            sock.sendall("\n".join(lines).encode())
    except OSError:
        return False
    return True


def watchdog_interval_s() -> float | None:
    """How often systemd wants a sign of life at least (half of WATCHDOG_USEC), or None where it wants none."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID")
    if not microseconds.isdigit() or not int(microseconds) or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 2_000_000
