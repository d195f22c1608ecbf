"""A stand-in for Visionline's server: checks signatures, keeps doors and cards, makes images.

Written from what is public of the Web API alone, and shares no code with the driver that talks to it, so that one
mistake can't hide in both. What is sure and what is only believed stands with each part. None of it was ever compared
with a licensed server: that a driver gets along with this one says that both were built to the same public facts, and
no more.
"""

from __future__ import annotations

from agent.sandbox.visionline.faults import Fault, Incident
from agent.sandbox.visionline.server import VisionlineServer
from agent.sandbox.visionline.serving import Visionline, serving_visionline

__all__ = ["Fault", "Incident", "Visionline", "VisionlineServer", "serving_visionline"]
