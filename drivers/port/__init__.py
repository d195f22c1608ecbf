"""Byte streams to devices: serial ports, and their like on the network."""
