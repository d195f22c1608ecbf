"""The agent's state, for the desk page, for `status` and for machines."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from agent.advice import AT_ANOTHER_DESK, BY_STATE, JOINS, next_step
from agent.claims import Claims
from agent.journal import ORDER_UNKNOWN, Job, JobState, Journal, OutboxEntry
from agent.polling import Polling
from agent.station import Station
from drivers.encoder import Stage

ORDERED_BEFORE = "Its key was ordered once before, and whether it came to a card is not known."
SILENT_S = 30.0
"""A driver that has a card in hand and gives no sign of life for longer than this is shown to hang."""


def service_json(polling: Polling, *, key_refused: bool) -> dict[str, Any]:
    """How it stands with the credential service."""
    return {
        "up": polling.service_up,
        "trouble": polling.trouble,
        "key_refused": polling.key_refused or key_refused,
        "last_pass_at": polling.last_pass_at,
        "unreadable_credentials": polling.unreadable,
    }


def journal_json(journal: Journal, claims: Claims, jobs: int, in_hand: Collection[int]) -> dict[str, Any]:
    """Jobs and reports; `jobs` is how many of the queue at most, `in_hand` are those that encoders are at."""
    return {
        "jobs": {str(state): count for state, count in journal.count_by_state().items()},
        "queue": [_queued_json(journal, claims, job, in_hand) for job in journal.queue(jobs)],
        "recent": [job_json(job) for job in journal.recent(min(jobs, 50))],
        "reports": {
            "unfinished": journal.count_reports(),
            "entries": [_report_json(journal, entry) for entry in journal.unfinished_reports(50)],
        },
    }


def _report_json(journal: Journal, entry: OutboxEntry) -> dict[str, Any]:
    job = job_json(journal.job(entry.job_id))
    return {
        "job_id": entry.job_id,
        "acs_credential_id": entry.acs_credential_id,
        "display_name": job["display_name"],
        "state": str(entry.state),
        "tries": entry.tries,
        "created_at": entry.created_at,
        "next_try_at": entry.next_try_at,
        "last_answer": entry.last_answer,
        "seen_to_by": job["seen_to_by"],
        "next_step": job["next_step"],
    }


def _queued_json(journal: Journal, claims: Claims, job: Job, in_hand: Collection[int]) -> dict[str, Any]:
    """A job in the queue; one that waits for another, or is another desk's, says so."""
    code = reason = None
    if job.state is JobState.WAITING and job.ready and (elsewhere := claims.why_not_here(job.acs_credential_id)):
        code, reason = AT_ANOTHER_DESK, elsewhere
    elif job.state in (JobState.WAITING, JobState.CLAIMED) and job.ready and journal.joins_pending(job):
        code, reason = JOINS, "It joins a credential that is not on its card yet."
    elif job.state in (JobState.WAITING, JobState.CLAIMED) and job.ready and journal.order_of(job.job_id) is not None:
        code, reason = ORDER_UNKNOWN, ORDERED_BEFORE
    shown = job_json(job)
    if code is not None:
        shown |= {"code": code, "reason": reason, "next_step": next_step(job, code)}
    if job.job_id in in_hand:
        shown["next_step"] = BY_STATE[JobState.BOUND]
    return shown


def skipped_json(polling: Polling) -> list[dict[str, Any]]:
    """Credentials that get no job, and why."""
    return [
        {
            "acs_credential_id": acs_credential_id,
            "display_name": polling.remarks.display_name(acs_credential_id),
            "code": decision.code,
            "reason": decision.reason,
        }
        for acs_credential_id, decision in polling.remarks
    ]


def encoder_json(station: Station, acs_encoder_id: str) -> dict[str, Any]:
    """One encoder."""
    progress, trouble = station.progress, station.trouble
    return {
        "acs_encoder_id": acs_encoder_id,
        "name": station.name,
        "driver": station.config.driver,
        "mode": station.config.mode,
        "overwrite": station.config.overwrite,
        "online": station.online,
        "device": station.encoder.device,
        "trouble": trouble and {"type": trouble.type, "message": str(trouble), "next_step": trouble.next_step},
        "card_here": station.card_here,
        "sees_cards": station.sees_cards,
        "asks_for_cards": station.asks,
        "take_the_card_away": station.card_here and station.spent is not None,
        "spent": station.spent and str(station.spent),
        "job_id": station.job.job_id if station.job else None,
        "acs_credential_id": station.job.acs_credential_id if station.job else None,
        "waits": station.waits,
        "prompt": station.prompt,
        "progress": progress
        and {"stage": str(progress.stage), "done": progress.done, "total": progress.total, "of": list(Stage)},
        "last_outcome": station.last_outcome,
        "silent": is_silent(station),
    }


def is_silent(station: Station) -> bool:
    """Whether the encoder has had a card in hand for long without a sign of life."""
    return station.stuck_for() > SILENT_S


def job_json(job: Job) -> dict[str, Any]:
    """A job as people and machines see it: no card number, no guest but what the display name says."""
    credential = job.credential if isinstance(job.credential, dict) else {}
    return {
        "job_id": job.job_id,
        "acs_credential_id": job.acs_credential_id,
        "display_name": credential.get("display_name"),
        "external_type": credential.get("external_type"),
        "state": str(job.state),
        "ready": job.ready,
        "code": job.code,
        "reason": job.reason,
        "reissue": job.reissue,
        "picked": job.picked,
        "encoder": job.encoder or job.wanted_encoder,
        "card_uid": job.card_uid,
        "starts_at": credential.get("starts_at"),
        "ends_at": job.ends_at,
        "held_by": job.held_by,
        "requested_by": job.requested_by,
        "request_reason": job.request_reason,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "seen_to_by": job.seen_to_by,
        "next_step": next_step(job),
    }
