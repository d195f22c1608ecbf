"""Devices that are plugged in while the agent runs: udev tells, and encoders that are away look again at once.

What is unplugged needs no telling: an encoder at rest waits in its driver for something to come from the device, and
that wait ends with it. A serial port's read fails (EIO, or end of file), pcscd reports its reader as gone, and drivers
that ask their device from time to time get no answer: each is an `EncoderNotOnline`, within moments. Only where a
vendor's software does the writing, which says nothing until it gets an order, it takes the next order to notice.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_SUBSYSTEMS = ("usb", "tty", "hidraw")
_ARRIVALS = ("add", "bind")
"""`bind`: a kernel driver, or pcscd's access to the device, may come after the device itself (Linux 4.14 and later)."""


class HotPlug:
    """Calls `came` on the event loop when a device is plugged in. It waits on udev's socket: no thread, no polling."""

    def __init__(self, came: Callable[[], None]) -> None:
        self._came = came
        self._monitor: Any = None

    def start(self) -> None:
        """Watch, from the running event loop.

        Events come after udev's rules have set names and rights. Where there is no udev, as in some containers, nothing
        is watched, and the drivers' own waiting has to do.
        """
        try:
            import pyudev  # it loads libudev, which not every machine has

            monitor = pyudev.Monitor.from_netlink(pyudev.Context())
            for subsystem in _SUBSYSTEMS:
                monitor.filter_by(subsystem)
            monitor.start()
            asyncio.get_running_loop().add_reader(monitor.fileno(), self._read)
        except (ImportError, OSError) as error:
            log.info("hot-plug is not watched: drivers look for their devices from time to time", error=str(error))
            return
        self._monitor = monitor
        log.info("hot-plug is watched")

    def stop(self) -> None:
        """Watch no longer; may be called twice, or without `start`."""
        if self._monitor is not None:
            asyncio.get_running_loop().remove_reader(self._monitor.fileno())
            self._monitor = None

    def _read(self) -> None:
        """One plug is a burst of events; those that have come by now are told of once."""
        came = False
        try:
            while (device := self._monitor.poll(timeout=0)) is not None:
                came = came or device.action in _ARRIVALS
        except OSError as error:
            came = True
            if error.errno != errno.ENOBUFS:  # that one means that events were lost, and nothing else is wrong
                log.warning("hot-plug is watched no longer", error=str(error))
                self.stop()
        if came:
            self._came()
