"""This desk's encoders, by name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from agent.journal import Job
from agent.station import Station
from drivers.errors import EncoderNotOnline, UncategorizedError


class Stations:
    """The stations of one desk, in the order of the configuration."""

    def __init__(self, desk: str, stations: Sequence[Station]) -> None:
        self._desk = desk
        self._stations = tuple(stations)

    def __iter__(self) -> Iterator[Station]:
        return iter(self._stations)

    def __len__(self) -> int:
        return len(self._stations)

    def encoder_id(self, station: Station) -> str:
        """The `acs_encoder_id` of one of this desk's encoders: the same as long as desk and name are."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"card-encoder:{self._desk}:{station.name}"))

    def find(self, encoder: str | None) -> Station | None:
        """The encoder with this name or id, which is or may soon be online; None for any.

        Raises:
            EncoderNotOnline: there is no such encoder, or none that works.
        """
        chosen = [station for station in self if encoder in (None, station.name, self.encoder_id(station))]
        if not chosen:
            names = ", ".join(f"'{station.name}'" for station in self) or "none"
            raise EncoderNotOnline(
                f"There is no encoder '{encoder}' here." if encoder else "No encoder is configured.",
                next_step=f"Configured here: {names}.",
            )
        if not any(station.online for station in chosen):
            raise chosen[0].trouble or EncoderNotOnline(f"Encoder '{chosen[0].name}' is still being opened.")
        return chosen[0] if encoder is not None else None

    def in_hand(self) -> list[int]:
        """The jobs that encoders are at; not those for which they wait for somebody to come with a card."""
        return [station.job.job_id for station in self if station.job is not None and not station.waits]

    def is_busy_with(self, job: Job) -> bool:
        """Whether the job's card is being looked at or written right now."""
        return job.job_id in self.in_hand()

    def refuse_while_busy(self, job: Job) -> None:
        """A person's step has to wait for the outcome.

        Raises:
            UncategorizedError: the job's card is being written.
        """
        if self.is_busy_with(job):
            raise UncategorizedError("It is being written this very moment.", next_step="Wait for the outcome.")

    def reconsider(self, job_id: int) -> None:
        """A person asks anew for what a card was refused for."""
        for station in self:
            station.choice.reconsider(job_id)

    def nobody_waits(self, job_id: int) -> None:
        """The person who asked for this job was answered."""
        for station in self:
            station.choice.nobody_waits(job_id)

    def wake(self) -> None:
        """There may be something to do for cards that lie there already."""
        for station in self:
            station.wake()
