"""Health and metrics (Prometheus text format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from agent.desk.answers import success, to_response
from agent.events import Event
from agent.operations import Operations

_SECONDS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 8, 13, 30, 60)


class Metrics(Collector):
    """Counts outcomes as they come, and looks the rest up when it is asked."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._registry = CollectorRegistry()
        self._encodes = Counter(
            "card_encoder_encodes",
            "Tries to encode a card, by result: done, or the error's type.",
            ("encoder", "result"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "card_encoder_encode_seconds",
            "From the job being chosen for the card to verified.",
            ("encoder",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        for station in operations.stations:
            self._encodes.labels(station.name, "done")
            self._seconds.labels(station.name)
        self._registry.register(self)
        operations.events.listen(self._note)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, as they are now."""
        operations = self._operations
        jobs = GaugeMetricFamily("card_encoder_jobs", "Jobs in the journal, by state.", labels=["state"])
        for state, count in operations.journal.count_by_state().items():
            jobs.add_metric([str(state)], count)
        yield jobs
        yield GaugeMetricFamily(
            "card_encoder_outbox_entries",
            "Reports that the service has not acknowledged.",
            value=operations.journal.count_reports(),
        )
        yield GaugeMetricFamily(
            "card_encoder_service_up",
            "Whether the credential service answered last time.",
            value=int(bool(operations.polling.service_up)),
        )
        claims = operations.claims.state()
        if claims["shared"]:
            yield GaugeMetricFamily(
                "card_encoder_claims_up",
                "Whether the database in which the desks agree could be reached last time.",
                value=int(claims["up"]),
            )
        online = GaugeMetricFamily(
            "card_encoder_encoder_online", "Whether the encoder is ready for cards.", labels=["encoder"]
        )
        for station in operations.stations:
            online.add_metric([station.name], int(station.online))
        yield online

    def _note(self, event: Event) -> None:
        if event.kind != "outcome":
            return
        error = event.data["error"]
        self._encodes.labels(event.data["encoder"], error["type"] if error else "done").inc()
        if error is None:
            self._seconds.labels(event.data["encoder"]).observe(event.data["seconds"])

    async def metrics(self, _: Request) -> Response:
        """GET /metrics."""
        return Response(generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def livez(self, _: Request) -> Response:
        """GET /livez: the event loop answers."""
        return success()

    async def readyz(self, _: Request) -> Response:
        """GET /readyz: whether a card put down now could be written."""
        stations, trouble = self._operations.stations, self._operations.journal.trouble
        if trouble is not None:
            return to_response({"ok": False, "reasons": [trouble]}, 503)
        if any(station.online for station in stations):
            return success()
        reasons = [
            station.trouble.message if station.trouble else f"Encoder '{station.name}' is still being opened."
            for station in stations
        ]
        return to_response({"ok": False, "reasons": reasons or ["No encoder is configured."]}, 503)
