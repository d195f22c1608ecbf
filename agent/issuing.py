"""One job, from claim to verified.

The driver works in the encoder's own thread; `bind` is where it asks whether this card may be written. Everything that
has to survive is in the journal before that returns.

Of a card without a UID the journal keeps that one was begun, and no more: see `card_policy` for what can't be told of
it then.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from agent import clock
from agent.advice import named
from agent.card_policy import Knowledge, fate_refusal, key_refusal, needs_the_service, other_card, refusal
from agent.claims import Claims
from agent.config import Overwrite
from agent.content import Doors, IncompleteOrder, digest_of, needs_doors
from agent.credential import Credential, MalformedCredential, read
from agent.eligibility import Action, Decision, decide
from agent.holders import holders
from agent.journal import Card, IllegalStep, Job, JobState, Journal, JournalError
from agent.service import LONGEST_WITH_A_CARD_S, Gone, Refused, Service, ServiceError
from agent.wanted import NotEncodable, Wanted, asks_for_cards, deleted, makes_by_order, takes_too_long, wont_say
from drivers.content import CardNumber, Content, KeyOrder, Order, ServiceOrder
from drivers.encoder import CardState, Encoder, EncodeRequest, EncodeResult, FoundCard, OrderNote, Progress
from drivers.errors import (
    BridgeDisconnected,
    CredentialCannotBeReissued,
    CredentialDeleted,
    EncoderError,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    UncategorizedError,
    Unencodable,
)

log = structlog.get_logger(__name__)
T = TypeVar("T")


class WrongCard(EncodingInterrupted):
    """Another card came than the one whose writing was interrupted: trying again with it makes no difference."""

    retry_on_same_card = False


class Outdated(EncodingInterrupted):
    """While a vendor's system made the card, the service changed its mind: what was made is not written."""

    default_next_step = (
        "Where it is still needed: `card-encoder encode ID --overwrite`, with this card on the encoder, has it made as "
        "it is to be now. Else have what was made cancelled at the vendor's system."
    )
    retry_on_same_card = False


class _ContentChanged(EncoderError):
    """The service changed what is to be written after the driver was asked to write it."""


Answer = Credential | ServiceError | MalformedCredential
InThread = Callable[..., Coroutine[Any, Any, Any]]


class Issuing:
    """Encodes jobs on one encoder."""

    def __init__(
        self,
        encoder: Encoder,
        journal: Journal,
        service: Service,
        *,
        claims: Claims,
        overwrite: Overwrite,
        refresh: Callable[[str, object], object],
        on_progress: Callable[[Job, Progress], None],
        on_card: Callable[[Job], None],
    ) -> None:
        """`found` is the card that was looked at last.

        `refresh` brings a credential as the service has it now into the journal. `on_progress` and `on_card` run on the
        loop; the latter where an encoder waited for somebody to come: it may raise IllegalStep.
        """
        self.encoder = encoder
        self.journal = journal
        self.service = service
        self.claims = claims
        self.overwrite = overwrite
        self.found: FoundCard | None = None
        self.wanted = Wanted(encoder, journal, service)
        self._refresh = refresh
        self._on_progress = on_progress
        self._on_card = on_card

    async def encode(self, job: Job, in_thread: InThread, *, still_there: str | None) -> None:
        """Write the job's credential on the card that lies on the encoder, until the report is in the outbox.

        `in_thread` runs a function in the encoder's thread. `still_there` is the UID of the card that was written last
        where nobody saw it leave: that card isn't written again.

        Raises:
            NotEncodable, CredentialDeleted: because of the credential; the job has moved accordingly.
            EncoderError: because of the card or the encoder; the job is still there, `writing` if the card's state is
                unknown.
        """
        for _ in range(3):
            try:
                await self._encode_once(job, in_thread, still_there)
                return
            except _ContentChanged:
                job = self.journal.job(job.job_id)
                if job.state not in (JobState.CLAIMED, JobState.WRITING):
                    raise NotEncodable(job.reason) from None
        raise UncategorizedError("The service keeps changing this credential.", next_step="Try again in a minute.")

    async def _encode_once(self, job: Job, in_thread: InThread, still_there: str | None) -> None:
        loop = asyncio.get_running_loop()
        content, doors = await self.wanted.of(job)
        # Where the card is there, the service is asked while that is looked at; else somebody has to bring it first.
        fresh = None if asks_for_cards(self.encoder) else loop.create_task(self.latest(job))
        noted = self.journal.order_of(job.job_id)
        encoding = _Encoding(self, job, content, doors, loop, fresh, still_there, noted)

        def progress(step: Progress) -> None:
            loop.call_soon_threadsafe(self._on_progress, job, step)

        request = EncodeRequest(
            content,
            encoding.bind,
            progress,
            note=encoding.note,
            noted=noted,
            insists=job.overwrite,
        )

        def work() -> None:
            try:
                encoding.verified(self.encoder.encode(request))
            except (EncoderError, JournalError):
                raise
            except Exception as error:  # a driver's bug must not cost a job: what the card holds is unknown
                log.exception("driver failed", encoder=self.encoder.name)
                kind = UncategorizedError if encoding.attempt is None else EncodingInterrupted
                raise kind(f"The driver failed ({type(error).__name__}).") from error

        try:
            await in_thread(work)
        except EncoderError as error:
            error.next_step = named(error.next_step, job.acs_credential_id)
            about_the_fate = error.data.get("reason") == "unknown_content"
            if job.state is JobState.WRITING and isinstance(error, IncompatibleCardFormat) and not about_the_fate:
                error.next_step = _begun_with_this_card(job)
            self._record_failure(job, encoding.attempt, encoding.uid, error)
            if isinstance(error, (NotEncodable, CredentialDeleted, Outdated, _ContentChanged)):
                self._follow_service(job, await (encoding.fresh or self.latest(job)))
            if self._waits_for_a_person(job, encoding, content, error):
                code = "order_does_not_fit" if isinstance(content, Order) else "number_does_not_fit"
                raise self.wanted.held(
                    job, code, str(error), NotEncodable(error.message, next_step=error.next_step)
                ) from error
            raise
        finally:
            if encoding.fresh is not None:
                encoding.fresh.cancel()
                await asyncio.gather(encoding.fresh, return_exceptions=True)

    def _waits_for_a_person(self, job: Job, encoding: _Encoding, content: Content, error: EncoderError) -> bool:
        """Whether it is the credential that can't be encoded, on whichever card: no other one is to wait behind it."""
        if encoding.attempt is None:
            return isinstance(error, Unencodable)
        refused = isinstance(error, Unencodable | CredentialCannotBeReissued) and encoding.may_write
        return refused and isinstance(content, Order) and self.journal.job(job.job_id).state is JobState.CLAIMED

    async def latest(self, job: Job) -> Answer:
        """The service's latest word. A card lies there meanwhile: a service that takes its time counts as away."""
        try:
            async with asyncio.timeout(LONGEST_WITH_A_CARD_S):
                return await self.service.get(job.acs_credential_id)
        except TimeoutError:
            return takes_too_long()
        except (ServiceError, MalformedCredential) as error:
            return error

    def card_came(self, job: Job) -> None:
        """Somebody has come with a card for this job, which may have gone on while the encoder waited for that.

        Raises:
            IllegalStep: it has.
        """
        if self.journal.job(job.job_id) != job:
            raise IllegalStep(f"Job {job.job_id} has gone on meanwhile.")
        self._on_card(job)

    def _record_failure(self, job: Job, attempt: int | None, uid: str, error: EncoderError) -> None:
        nobody_came = attempt is None and isinstance(error, NoCredentialOnEncoder)
        tell = log.debug if nobody_came else log.warning  # where a card is asked for, that is so every minute
        tell("not encoded", job_id=job.job_id, encoder=self.encoder.name, type=error.type, error=error.message)
        if attempt is None:
            if isinstance(error, IncompatibleCardFormat | WrongCard):
                self.journal.record_card_refused(
                    job, encoder=self.encoder.name, uid=uid, error_type=error.type, error=str(error)
                )
        elif isinstance(error, EncodingInterrupted):
            self.journal.record_unknown(
                job, attempt, error_type=error.type, error=str(error), trying_again_helps=error.retry_on_same_card
            )
        else:
            self.journal.record_left(job, attempt, error_type=error.type, error=str(error))

    def _follow_service(self, job: Job, answer: Answer) -> None:
        """Bring the job into line with what the service says now."""
        state = self.journal.job(job.job_id).state
        if isinstance(answer, Credential):
            self._refresh(job.acs_credential_id, answer.as_sent())
        elif isinstance(answer, Gone):
            self.journal.record_deleted(job.acs_credential_id)
        elif isinstance(answer, MalformedCredential) and state is JobState.CLAIMED:
            self._refresh(job.acs_credential_id, answer.raw)  # held, until the service has it readable again
        else:
            self._refresh(job.acs_credential_id, job.credential)


class _Encoding:
    """One try at one card. `bind` and `verified` run in the encoder's thread."""

    def __init__(
        self,
        issuing: Issuing,
        job: Job,
        content: Content,
        doors: Doors | None,
        loop: asyncio.AbstractEventLoop,
        fresh: asyncio.Task[Answer] | None,
        still_there: str | None,
        noted: OrderNote | None,
    ) -> None:
        """`fresh` is the service's latest word, asked for already; without it, it is asked for when a card came.

        `noted` is what is known of an order that was given before.
        """
        self._issuing = issuing
        self._journal = issuing.journal
        self._job = job
        self._content = content
        self._doors = doors
        self._loop = loop
        self.fresh = fresh
        self._still_there = still_there
        self._noted = noted
        self._replaces: str | None = None
        self.attempt: int | None = None
        self.may_write = False
        self.uid = ""
        self._number: str | None = None

    def bind(self, found: FoundCard) -> None:
        """May this card be written? Returns when the intent is on the disk.

        Raises:
            EncoderError: it may not.
        """
        self._issuing.found = found
        self.uid = found.uid
        if self.fresh is None:
            self._wait(self._card_came())
        self._refuse_at_sight(found)
        self.attempt = self._journal.bind_card(
            self._job,
            encoder=self._issuing.encoder.name,
            uid=found.uid,
            medium=found.medium,
            content_digest=digest_of(self._content, found.uid),
            started_at=clock.to_text(self._doors.asked_at) if self._doors else None,
        )
        self._number = self._content.on(found.uid) if isinstance(self._content, CardNumber) else None
        credential = self._latest_word()
        self._refuse_card(found, credential)
        # A vendor's system may number a card otherwise than before, be it the same one.
        if credential.is_issued and (self._job.replace_card or isinstance(self._content, Order)):
            self._replaces = credential.card_number
        by_uid = isinstance(self._content, CardNumber) and self._content.value is None
        self._wait(self._issuing.claims.begin(self._job, found.uid))
        # A key whose fate is unknown is not ordered again and again at one word: each order voids other guests' keys.
        once = isinstance(self._content, Order)
        self._journal.begin_writing(self._job, self.attempt, card_number=self._number, number_is_uid=by_uid, once=once)
        self.may_write = True

    def verified(self, result: EncodeResult) -> None:
        """The driver vouches for the card.

        A key of which neither the vendor nor the service has told a number is reported under one that is made up for
        it: the service can't keep a card apart from others without one.
        """
        if self.attempt is None or result.uid != self.uid or self._number not in (None, result.card_number):
            raise EncodingInterrupted("Another card was verified than the one that was to be written.")
        number = result.card_number
        if isinstance(self._content, Order):
            number = number or self._content.number or f"key-{uuid.uuid4()}"
            if self._replaces == number and not self._job.replace_card:
                self._replaces = None
        self._journal.record_verified(
            self._job,
            self.attempt,
            card_number=number,
            number_is_uid=isinstance(self._content, CardNumber) and self._content.value is None,
            verified_by=result.verified_by,
            replaces_card_number=self._replaces,
            reported=result.reported,
        )

    def note(self, note: OrderNote | None) -> None:
        """What is known of the order that the driver gives; see `EncodeRequest`. It returns when that is on the disk.

        Raises:
            EncodingInterrupted: no card was bound.
        """
        if self.attempt is None or not self.may_write:
            raise EncodingInterrupted("An order was to be given before its card was bound.")
        self._journal.note_order(self._job, self.attempt, note)
        if note is not None and note.image:  # which took its time to make, and is written next
            self._refuse_what_is_outdated()

    def _refuse_what_is_outdated(self) -> None:
        self.fresh = self._wait(self._asked_anew())
        try:
            self._latest_word()
        except (NotEncodable, CredentialDeleted, _ContentChanged) as error:
            raise Outdated(f"Nothing was written on the card that was made for it. {error.message}") from error
        except BridgeDisconnected:
            return  # the service is there, and won't say: what it said a moment ago has to do

    async def _asked_anew(self) -> asyncio.Task[Answer]:
        return asyncio.get_running_loop().create_task(self._issuing.latest(self._job))

    def _refuse_at_sight(self, found: FoundCard) -> None:
        """What needs no look at the service, and must not become the job's card."""
        job = self._job
        error: EncoderError | None = None
        if job.state is JobState.WRITING and job.card_uid and job.card_uid != found.uid:
            error = WrongCard(
                f"Writing card {job.card_uid} was interrupted, and this is another card.",
                next_step=f"Put card {job.card_uid} back: it will be read, and finished where needed. If it can't come "
                f"back: `card-encoder reencode {job.acs_credential_id} --replace-card --reason TEXT`.",
                card_uid=job.card_uid,
            )
        elif found.uid and found.uid == self._still_there and job.state is not JobState.WRITING:
            error = IncompatibleCardFormat(
                "This card was just written.", next_step="Take it away first; put it back if it is to be written again."
            )
        if error:
            raise error

    def _latest_word(self) -> Credential:
        """The credential to decide on: the service's, or, where it can't be reached, the one that was claimed."""
        assert self.fresh is not None
        answer = self._wait(_result(self.fresh))
        if isinstance(answer, Gone):
            raise deleted()
        if isinstance(answer, Refused):
            raise wont_say(answer)
        if isinstance(answer, MalformedCredential):
            raise NotEncodable(f"The service's data on this credential can't be read: {answer.problem}.")
        credential = read(self._job.credential) if isinstance(answer, ServiceError) else answer
        decision = decide(credential, clock.now(), asked=self._job.asked)
        if decision.action is not Action.ENCODE and not self._goes_on(decision):
            raise NotEncodable(decision.reason)
        if self._content_now(credential) != self._content:
            raise _ContentChanged("The credential was changed at the service.")
        return credential

    def _goes_on(self, decision: Decision) -> bool:
        """Whether the job goes on in spite of it. That the service has a credential as issued, which it was ordered to
        encode, may be what became of the order."""
        if decision.code == "not_waiting" and isinstance(self._content, ServiceOrder):
            return self._journal.order_of(self._job.job_id) is not None
        return consented(decision, self._job)

    def _content_now(self, credential: Credential) -> Content | None:
        """What is to be written by the service's latest word; the doors are those of before where it is away now."""
        doors = self._doors
        if doors is None and needs_doors(credential, self._issuing.encoder.capabilities.contents):
            return None  # it has become a vendor's since
        if doors is not None:
            latest = self._wait(self._issuing.wanted.doors(self._job))
            doors = doors if isinstance(latest, ServiceError) else replace(doors, entrances=latest.entrances)
        try:
            return self._issuing.wanted.content(self._job, credential, doors)
        except IncompleteOrder:
            return None

    async def _card_came(self) -> None:
        self._issuing.card_came(self._job)
        self.fresh = await self._asked_anew()

    def _refuse_card(self, found: FoundCard, credential: Credential) -> None:
        wrong: EncoderError | None
        overwrite, encoder = self._issuing.overwrite, self._issuing.encoder
        if makes_by_order(encoder):  # on any card: the vendor's system voids the key that was made before
            can = encoder.capabilities
            wrong = fate_refusal(self._job, self._noted, can_tell=can.scans or can.recalls)
        else:
            own_cards = self._journal.cards_of(self._job.acs_credential_id)
            begun = self._journal.begun_before_issue(self._job.job_id, found.uid)
            wrong = other_card(found, credential, self._job, own_cards, begun_before_issue=begun)
        if wrong is None and isinstance(self._content, KeyOrder):
            wrong = key_refusal(found, credential, self._job, overwrite)
            found = replace(found, state=CardState.BLANK) if found.state is CardState.NUMBER else found
        if wrong is None:
            row = self._journal.card(found.uid)
            ordered = self._noted or (self._journal.order_of(row.job_id) if row else None)
            known = Knowledge(row, self._holders(found, row), ordered)
            wanted = credential.card_number if isinstance(self._content, Order) else self._number
            wrong = refusal(found, wanted, credential, self._job, overwrite, known)
        if wrong is not None:
            raise wrong

    def _holders(self, found: FoundCard, row: Card | None) -> tuple[str, ...] | None:
        issuing = self._issuing
        if not needs_the_service(found, row, self._job.acs_credential_id):
            # What another desk left torn reads as blank. Where that can't be told, what is this desk's goes on.
            begun: set[str] | None = self._wait(issuing.claims.begun_elsewhere(found.uid, ()))
            return tuple(begun or ())
        return self._wait(
            holders(issuing.service, issuing.claims, issuing.journal, found, row, self._job.acs_credential_id)
        )

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """From the encoder's thread: have the loop do it, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _begun_with_this_card(job: Job) -> str:
    """What a person does where the card on which a job was begun is refused: no other one would be taken."""
    credential = job.acs_credential_id
    if not job.card_uid:
        return (
            "Writing was interrupted on some card: take that one. If it is this one, or if what this one holds may be "
            f"lost: `card-encoder encode {credential} --overwrite`. To give that card up and write another one: "
            f"`card-encoder reencode {credential} --replace-card --reason TEXT`."
        )
    return (
        "Its writing was begun on this card: put it down once more, after `card-encoder encode "
        f"{credential} --overwrite` where what it holds may be lost. If it stays so: `card-encoder reencode "
        f"{credential} --replace-card --reason TEXT` gives this card up and writes another one."
    )


async def _result(task: asyncio.Task[T]) -> T:
    return await asyncio.shield(task)


def consented(decision: Decision, job: Job) -> bool:
    """Whether a person has let the job go on in spite of this very reason to hold it."""
    return decision.action is Action.HOLD and job.consent == decision.code
