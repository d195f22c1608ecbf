"""What is plugged into this machine, and the configuration that would use it."""

from __future__ import annotations

from agent.discovery.configuration import to_paste
from agent.discovery.findings import Device, Discovery, Standing
from agent.discovery.search import Asking, discover

__all__ = ["Asking", "Device", "Discovery", "Standing", "discover", "to_paste"]
