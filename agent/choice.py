"""Which job an encoder does next: what the card that lies there is good for, and which job is left alone for now.

All of it is of one card at one encoder, and forgotten with the card.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from agent import rest
from agent.card_policy import OtherCard
from agent.config import EncoderConfig
from agent.content import VISIONLINE
from agent.journal import Job, JobState, Journal, Scope
from agent.rest import Rest
from agent.wanted import NotEncodable, asks_for_cards, makes_by_order
from drivers.content import CardNumber, KeyOrder, ServiceOrder, VisionlineOrder
from drivers.encoder import Encoder, FoundCard
from drivers.errors import CredentialDeleted, EncoderError


class Spent(StrEnum):
    """Why the card on the encoder isn't written by itself any more: it has to be taken away first."""

    WRITTEN = "written"
    REFUSED = "refused"
    SCANNED = "scanned"


class Choice:
    """One encoder's. `spent` says what has become of the card that lies there, where something has."""

    def __init__(
        self,
        config: EncoderConfig,
        encoder: Encoder,
        journal: Journal,
        *,
        encoders: Collection[str],
        chosen: Collection[int],
    ) -> None:
        """`encoders` are the names of all at this desk, `chosen` the jobs that they are at now: read each time."""
        self._config = config
        self._encoder = encoder
        self._journal = journal
        self._encoders = encoders
        self._chosen = chosen
        self.spent: Spent | None = None
        self._found: FoundCard | None = None
        self._refused: int | None = None
        self._rest = Rest()
        self._waited_for: set[int] = set()

    @property
    def scope(self) -> Scope:
        """Which credentials this encoder writes."""
        can = self._encoder.capabilities
        by_order = makes_by_order(self._encoder)
        plain = can.contents & {CardNumber, KeyOrder, ServiceOrder}
        visionline = can.contents & {VisionlineOrder, ServiceOrder}
        vendors = [None] * bool(plain) + [VISIONLINE] * bool(visionline)
        return Scope(tuple(vendors), self._config.acs_system_ids, numberless=can.uids or by_order, by_order=by_order)

    def next_job(self, besides: Job | None = None) -> Job | None:
        """What no encoder has chosen yet; `besides`: or else this one."""
        if self.spent is Spent.WRITTEN:
            return None
        job = self._journal.next_job(
            self._config.name,
            self.scope,
            picked_only=self._config.mode == "attended" or self.spent is not None,
            others=[name for name in self._encoders if name != self._config.name],
            in_hand=set(self._chosen) - {besides.job_id if besides else None},
            card=self._found,
        )
        if job is None or self._rest.is_for(job) or (not job.picked and self.spent is not None):
            return None
        if job.job_id == self._refused or (self._sees_nothing and self._is_left_alone(job)):
            return None
        return job

    @property
    def _sees_nothing(self) -> bool:
        """Whether a key may be made of whatever card lies there, or of none: somebody has to be there then.

        One that can't find out what became of an order doesn't get so far: see `fate_refusal`.
        """
        can = self._encoder.capabilities
        return can.recalls and not can.presence and not can.scans

    def _is_left_alone(self, job: Job) -> bool:
        """What was begun comes before all else; but who picked it then may be gone by now."""
        return job.state is JobState.WRITING and job.job_id not in self._waited_for

    def card_came(self) -> None:
        """Another card lies there: nothing that was known of an earlier one holds for it, however that went away."""
        self.spent, self._refused, self._found = None, None, None

    def card_went(self) -> None:
        """The card was taken away."""
        self.spent = None

    def card_was_read(self) -> None:
        """The card came to be read: it isn't written without a person asking for that."""
        self.spent = self.spent or Spent.SCANNED

    def card_was_written(self) -> None:
        """All went well."""
        self.spent = Spent.WRITTEN
        self._rest.forget()

    def service_came_back(self) -> None:
        """That it was away may have been all the trouble."""
        self._rest = Rest()

    def reconsider(self, job_id: int) -> None:
        """A person asks anew for what the card on the encoder was refused for, and waits for it."""
        self._waited_for.add(job_id)
        self._rest.end(job_id)
        if self._refused == job_id:
            self._refused = None

    def nobody_waits(self, job_id: int) -> None:
        """The person who asked for it was answered."""
        self._waited_for.discard(job_id)

    def is_for_another_card(self, job: Job, error: EncoderError, found: FoundCard | None) -> bool:
        """Whether the error is only that the job, chosen before the card was seen, doesn't fit it.

        By now the card is known (`found`): one that fits is chosen next, which may be the card's own.
        """
        if job.picked or self._found is not None or not _is_about_the_card(error):
            return False
        self._found = found
        following = self.next_job()
        return following is not None and following.job_id != job.job_id

    def nobody_came(self, job: Job, *, card_came: bool, after_s: float) -> None:
        """Nobody brought a card for the job, and nobody waits for an answer: it is asked for again, after a rest.

        `card_came`: for the look, but not for the writing. `after_s`: so long had it been chosen.
        """
        left = self._journal.job(job.job_id)
        if card_came:
            self._rest.begin(left)  # an order that was given is not given again and again
        elif after_s < rest.FIRST_S:
            self._rest.begin_a_short_one(left)  # some say at once that no card is there: they are asked now and then

    def refuse(self, job: Job, error: EncoderError) -> None:
        """The card isn't for this job, or the job not for now."""
        self._refused = job.job_id
        if asks_for_cards(self._encoder):
            self._rest.begin(self._journal.job(job.job_id))
        if isinstance(error, OtherCard) and not job.picked:
            return  # the card is as good as before, for any other job that may still come
        about_the_credential = isinstance(error, NotEncodable | CredentialDeleted)
        if not about_the_credential or self._journal.job(job.job_id).state in (JobState.CLAIMED, JobState.WRITING):
            self.spent = Spent.REFUSED


def _is_about_the_card(error: EncoderError) -> bool:
    return isinstance(error, OtherCard) or error.data.get("reason") == "holds_live_credential"
