"""Byte streams to devices: serial ports, and their like on the network.

A driver takes `PortOptions` into its options, calls `open_port` and speaks through the `Port`. `drivers.port.finding`
lists what is plugged in, `drivers.port.simulated` is a line with a simulator at its end.
"""

from drivers.port.opening import open_port
from drivers.port.options import PortOptions
from drivers.port.port import Garbage, Port, Silence

__all__ = ["Garbage", "Port", "PortOptions", "Silence", "open_port"]
