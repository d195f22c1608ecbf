"""What needs a person, of all that the agent knows: for `queue`, `status` and the desk page.

It comes in groups. Each says what has happened, to how many, and what to do; where it is about jobs, it names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from agent import clock
from agent.advice import next_step, take_back
from agent.choice import Spent
from agent.claims import Claims
from agent.journal import ORDER_STANDS, ORDER_UNKNOWN, Job, JobState, Journal
from agent.overview import is_silent, job_json
from agent.polling import Polling
from agent.station import Station
from agent.stations import Stations

KEPT = timedelta(days=1)
"""How long a card that is to be taken back is shown beyond the end of its validity, if nobody says that it was."""
_MOST_JOBS = 1000
_NAMED = 50

Group = dict[str, Any]


def to_see_to(
    journal: Journal, polling: Polling, claims: Claims, stations: Stations, *, key_refused: bool
) -> list[Group]:
    """The groups, what stops most first. `key_refused`: a report was refused for its key.

    A group is `code`, `count`, `what`, `next_step` and `jobs`, which are as in the queue, 50 at most.
    """
    return [
        *_journal(journal),
        *_service(polling, key_refused),
        *_claims(claims),
        *(group for station in stations for group in _encoder(journal, station)),
        *_jobs(journal, stations.in_hand()),
    ]


def _group(code: str, what: str, step: str, count: int = 1) -> Group:
    return {"code": code, "count": count, "what": what, "next_step": step, "jobs": []}


def _journal(journal: Journal) -> Iterator[Group]:
    if journal.trouble:
        yield _group("journal_trouble", journal.trouble, "`card-encoder doctor` tells whether it is mended.")
    for note in journal.notes:
        yield _group(
            "journal_set_aside",
            "A damaged journal was set aside.",
            f"Read {note}, and move it away when all is settled.",
        )


def _service(polling: Polling, key_refused: bool) -> Iterator[Group]:
    if polling.key_refused or key_refused:
        yield _group(
            "key_refused",
            f"The service refuses the API key. {polling.trouble or ''}".strip(),
            "Put a valid key in its place, then run `card-encoder doctor`. What was written is reported then.",
        )
    elif polling.service_up is False:
        yield _group(
            "service_down",
            f"The service is out of reach. {polling.trouble}",
            "Check the network; `card-encoder doctor` tries each step of the way. What waits here can be written "
            "meanwhile, its reports are kept and sent later.",
        )
    if count := polling.unreadable:
        what = f"{_number(count, 'credential', 'credentials')} of the service can't be read at all."
        yield _group("unreadable", what, "Tell whoever runs the credential service.", count)


def _claims(claims: Claims) -> Iterator[Group]:
    state = claims.state()
    if not state["up"]:
        yield _group(
            "claims_down",
            f"The other desks are out of reach. {state['trouble']}",
            "What is this desk's goes on, nothing new is taken up; `card-encoder doctor` tells more.",
        )


def _encoder(journal: Journal, station: Station) -> Iterator[Group]:
    trouble, last = station.trouble, station.last_outcome
    if not station.online and trouble is not None:
        yield _group("encoder_offline", f"{station.name}: {trouble.message}", trouble.next_step)
    elif is_silent(station):
        yield _group(
            "encoder_silent",
            f"{station.name} has given no sign of life for {station.stuck_for():.0f} seconds, with a card on it.",
            "Leave the card there, unplug the encoder and plug it in again. If that is no help: sudo systemctl restart "
            "card-encoder. The card is read first then.",
        )
    elif last is not None and last["error"] is not None and _is_refused(journal, station, last["job_id"]):
        name = last["display_name"] or last["acs_credential_id"]
        what = f"{station.name}: {name} was not written on this card. {last['error']['message']}"
        yield _group("card_refused", what, last["error"]["next_step"])


def _is_refused(journal: Journal, station: Station, job_id: int) -> bool:
    """Whether the card lies there still that wasn't written; one that was torn is asked for with its job."""
    return station.spent is Spent.REFUSED and journal.job(job_id).state is not JobState.WRITING


def _jobs(journal: Journal, in_hand: Sequence[int]) -> Iterator[Group]:
    since = clock.to_text(clock.now() - KEPT)
    begun = [job for job in journal.in_state(JobState.WRITING, _MOST_JOBS) if job.job_id not in in_hand]
    ordered = [job for job in begun if job.code == ORDER_UNKNOWN]
    stand = [job for job in begun if job.code == ORDER_STANDS]
    interrupted = [job for job in begun if job.code not in (ORDER_UNKNOWN, ORDER_STANDS)]
    out = journal.to_take_back(since, _MOST_JOBS)
    conflicts = [job for job in out if job.state is JobState.FAILED]
    orphans = [job for job in out if job.state is not JobState.FAILED]
    refused = journal.refused_reports(_MOST_JOBS)
    held = journal.in_state(JobState.HELD, _NAMED)  # there may be many
    yield from _about(
        "interrupted",
        interrupted,
        ("card was interrupted while it was written.", "cards were interrupted while they were written."),
        "Put each back on its encoder: it is read, and finished where needed.",
    )
    yield from _about(
        "order_unknown",
        ordered,
        ("key was ordered, and no answer came.", "keys were ordered, and no answer came."),
        "Whether each was made is not known. `card-encoder encode ID`, with its card there, finds out what it can.",
    )
    yield from _about(
        "order_stands",
        stand,
        ("key was ordered, and its card can't be finished.", "keys were ordered, and their cards can't be finished."),
        "Decide on each: have it ordered once more, take another card, or give it up.",
    )
    yield from _about(
        "take_back",
        orphans,
        ("card is to be taken back.", "cards are to be taken back."),
        "Take each back, then say so: `card-encoder cancel JOB`.",
        take_back,
    )
    yield from _about(
        "conflict",
        conflicts,
        ("card was made that the service doesn't know.", "cards were made that the service doesn't know."),
        "The service has these credentials on other cards. Take each back, then say so: `card-encoder cancel JOB`.",
        take_back,
    )
    yield from _about(
        "report_refused",
        refused,
        ("report is refused by the service.", "reports are refused by the service."),
        "Find out at the service why; `card-encoder resume JOB` sends a report again.",
    )
    yield from _about(
        "held",
        held,
        ("credential is held for a person.", "credentials are held for a person."),
        "Settle what each is held for, then let it go on: `card-encoder resume JOB`.",
        count=journal.count_by_state()[JobState.HELD],
    )


def _about(
    code: str,
    jobs: Sequence[Job],
    words: tuple[str, str],
    step: str,
    advice: Callable[[Job], str] = next_step,
    count: int | None = None,
) -> Iterator[Group]:
    if jobs:
        count = count or len(jobs)
        named = [job_json(job) | {"next_step": advice(job)} for job in jobs[:_NAMED]]
        yield _group(code, _number(count, *words), step, count) | {"jobs": named}


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
