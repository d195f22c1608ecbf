"""`sandbox`: a stand-in credential service, alone or with an agent and a virtual encoder."""

from __future__ import annotations

from agent.cli.sandbox.command import sandbox

__all__ = ["sandbox"]
