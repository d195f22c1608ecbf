"""Action attempts, shaped like Seam's: something a person asked for, pending until it succeeds or fails."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.errors import EncoderError

ActionType = Literal["ENCODE_CREDENTIAL", "SCAN_CREDENTIAL"]
_KEPT = 1000


@dataclass
class Attempt:
    """One request and its outcome. `job_id` where it is a job's."""

    action_type: ActionType
    job_id: int | None = None
    action_attempt_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    result: dict[str, Any] | None = field(default=None, repr=False)
    error: EncoderError | None = None
    detail: dict[str, Any] = field(default_factory=dict, repr=False)
    """What Seam's shape has no place for: the card's uid and medium, whether it matches."""
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def succeed(self, result: dict[str, Any], **detail: Any) -> None:
        """It is done. The first outcome stays."""
        if not self.over.is_set():
            self.result = result
            self.detail.update(detail)
            self.over.set()

    def fail(self, error: EncoderError) -> None:
        """It came to nothing. The first outcome stays."""
        if not self.over.is_set():
            self.error = error
            self.over.set()

    @property
    def status(self) -> Literal["pending", "success", "error"]:
        """Where it stands."""
        if not self.over.is_set():
            return "pending"
        return "success" if self.error is None else "error"

    def as_json(self) -> dict[str, Any]:
        """Seam's `action_attempt`: all five fields, always."""
        error = self.error and {"type": self.error.type, "message": str(self.error)}
        return {
            "action_attempt_id": self.action_attempt_id,
            "action_type": self.action_type,
            "status": self.status,
            "result": self.result,
            "error": error,
        }


class Attempts:
    """The attempts since the agent started; the oldest are forgotten."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Attempt] = OrderedDict()

    def begin(self, action_type: ActionType) -> Attempt:
        """A new one, pending."""
        attempt = Attempt(action_type)
        self._kept[attempt.action_attempt_id] = attempt
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return attempt

    def get(self, action_attempt_id: str) -> Attempt | None:
        """The attempt with this id."""
        return self._kept.get(action_attempt_id)

    def list(self, action_attempt_ids: Sequence[str] | None = None) -> list[Attempt]:
        """These, or all, newest first."""
        if action_attempt_ids is None:
            return list(reversed(self._kept.values()))
        return [self._kept[i] for i in action_attempt_ids if i in self._kept]
