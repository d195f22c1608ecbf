"""The tray of virtual cards, where an encoder has one: cards to put down and take away without hands."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.desk.answers import Refusal, success
from agent.desk.inputs import TrayInput, body_of
from agent.operations import Operations
from drivers.encoder import Encoder


@runtime_checkable
class Tray(Protocol):
    """What a virtual encoder offers beside `Encoder`; see `drivers.virtual.driver`."""

    def tray(self) -> list[dict[str, Any]]:
        """The cards: uid, kind, state and on_encoder, oldest first."""
        ...

    def put(self, uid: str | None = None, kind: str | None = None) -> str:
        """Put a card on the encoder: this one of the tray, or a new one of this kind. Returns its UID."""
        ...

    def take(self) -> None:
        """Take the card away."""
        ...


_SHOWN = 12


def tray_of(encoder: Encoder) -> Tray | None:
    """The encoder's tray of virtual cards: its own, or that of the card encoder by which it has cards written."""
    inner = getattr(encoder, "card_encoder", encoder)
    return inner if isinstance(inner, Tray) else None


class TrayApi:
    """`/api/tray...`."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/api/tray", self.trays),
            Route("/api/tray/put", self.put, methods=["POST"]),
            Route("/api/tray/take", self.take, methods=["POST"]),
        ]

    async def trays(self, _: Request) -> Response:
        """GET /api/tray: the newest cards, and the one that lies on the encoder."""
        return success(
            trays=[
                {"encoder": station.name, "cards": _shown(tray.tray())}
                for station in self._operations.stations
                if (tray := tray_of(station.encoder)) is not None
            ]
        )

    async def put(self, request: Request) -> Response:
        """POST /api/tray/put."""
        asked = await body_of(request, TrayInput)
        try:
            uid = self._tray(asked.encoder).put(asked.uid, asked.kind)
        except (KeyError, ValueError) as error:
            raise Refusal(400, "invalid_input", f"There is no such card: {error}") from error
        return success(uid=uid)

    async def take(self, request: Request) -> Response:
        """POST /api/tray/take."""
        asked = await body_of(request, TrayInput)
        self._tray(asked.encoder).take()
        return success()

    def _tray(self, name: str) -> Tray:
        for station in self._operations.stations:
            if station.name == name and (tray := tray_of(station.encoder)) is not None:
                return tray
        raise Refusal(404, "tray_not_found", "This encoder has no tray of virtual cards.")


def _shown(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [card for place, card in enumerate(cards, 1) if card["on_encoder"] or place > len(cards) - _SHOWN]
