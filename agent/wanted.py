"""What an encoder is to write for a job. The service is asked for what the credential alone doesn't tell."""

from __future__ import annotations

import asyncio
from datetime import datetime

from agent import clock
from agent.content import Doors, IncompleteOrder, content_for, needs_doors
from agent.credential import Credential, MalformedCredential, read
from agent.journal import Job, JobState, Journal
from agent.service import LONGEST_WITH_A_CARD_S, Gone, Refused, Service, ServiceError, Unreachable
from drivers.content import CardNumber, Content, KeyOrder, ServiceOrder, VisionlineOrder
from drivers.encoder import Encoder
from drivers.errors import BridgeDisconnected, CredentialDeleted, EncoderError


class NotEncodable(EncoderError):
    """The credential, not the card, is why nothing was written: the decision has changed since the job was claimed."""

    type = "credential_cannot_be_reissued"
    exit_code = 12
    default_next_step = "Nothing has to be done at the encoder: the queue shows what it waits for."


def makes_by_order(encoder: Encoder) -> bool:
    """Whether it is somebody else's, is told what key to make, and doesn't tell one card from another."""
    can = encoder.capabilities
    return not can.uids and bool(can.contents & {KeyOrder, VisionlineOrder, ServiceOrder})


def asks_for_cards(encoder: Encoder) -> bool:
    """Whether it has to have its job before it asks for a card, as most vendors' own encoders do."""
    return makes_by_order(encoder) and not encoder.capabilities.presence


def deleted() -> CredentialDeleted:
    """The service has the credential no more."""
    return CredentialDeleted("The credential was deleted at the service.")


def wont_say(error: ServiceError) -> BridgeDisconnected:
    """The service is there, and doesn't answer the question."""
    return BridgeDisconnected(f"The service won't say how the credential stands. {error}")


def takes_too_long() -> Unreachable:
    """A service that takes its time while a card lies there counts as away."""
    return Unreachable(f"The service took more than {LONGEST_WITH_A_CARD_S:.0f} seconds.")


class Wanted:
    """For the jobs of one encoder."""

    def __init__(self, encoder: Encoder, journal: Journal, service: Service) -> None:
        self._encoder = encoder
        self._journal = journal
        self._service = service

    def held(self, job: Job, code: str, reason: str, error: NotEncodable) -> NotEncodable:
        """The error, after the job was put on hold for it."""
        self._journal.hold(job.job_id, actor="agent", code=code, reason=reason)
        return error

    async def of(self, job: Job) -> tuple[Content, Doors | None]:
        """What is to be written according to the credential that was claimed, and the doors that an order names.

        Raises:
            NotEncodable: it can't be told; the job is held.
            CredentialDeleted: the service has it no more.
            BridgeDisconnected: an order needs the service's word.
        """
        try:
            credential = read(job.credential)
        except MalformedCredential as error:
            problem = f"The service's data on this credential can't be read: {error.problem}."
            raise self.held(job, "malformed", error.problem, NotEncodable(problem)) from error
        doors = None
        if needs_doors(credential, self._encoder.capabilities.contents):
            try:
                listed = await self.doors(job)
            except CredentialDeleted:
                self._journal.record_deleted(job.acs_credential_id)
                raise
            if isinstance(listed, ServiceError):
                raise BridgeDisconnected(f"The service can't be asked which doors the key opens. {listed}") from listed
            doors = listed
        try:
            content = self.content(job, credential, doors)
        except IncompleteOrder as error:
            raise self.held(job, "order_incomplete", str(error), NotEncodable(str(error))) from error
        if content == CardNumber(None) and not self._encoder.capabilities.uids:
            reason = "It has no number of its own, and this encoder's cards have no UID to take its place."
            raise self.held(job, "number_does_not_fit", reason, NotEncodable(reason))
        return content, doors

    def content(self, job: Job, credential: Credential, doors: Doors | None) -> Content:
        """What is to be written of this credential.

        Raises:
            IncompleteOrder: it can't be told.
        """
        number_is_uid = self._journal.number_is_uid(job.acs_credential_id, credential.card_number)
        contents = self._encoder.capabilities.contents
        return content_for(
            credential, contents, number_is_uid=number_is_uid, doors=doors, replace_card=job.replace_card
        )

    async def doors(self, job: Job) -> Doors | ServiceError:
        """The doors that the credential opens now; an error where the service is away.

        Raises:
            CredentialDeleted: the service has it no more.
            BridgeDisconnected: the service won't say.
        """
        try:
            async with asyncio.timeout(LONGEST_WITH_A_CARD_S):
                return Doors(await self._service.entrances(job.acs_credential_id), self._asked_at(job))
        except TimeoutError:
            return takes_too_long()
        except Gone as error:
            raise deleted() from error
        except Refused as error:
            raise wont_say(error) from error
        except ServiceError as error:
            return error

    def _asked_at(self, job: Job) -> datetime:
        """Now; or, where an order was interrupted, when that was: else no key would be the one that was ordered."""
        ordered = job.state is JobState.WRITING or self._journal.order_of(job.job_id) is not None
        begun = self._journal.last_begun_at(job.acs_credential_id) if ordered else None
        return clock.parse(begun) if begun else clock.now()
