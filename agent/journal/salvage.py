"""What could still be read of a damaged journal (see `remains`), brought into a new one.

Above all the reports that the service has not acknowledged, and the cards that were being written: nobody else knows of
these. What was merely waiting the service still has. What is there several times, and doesn't agree, goes by majority;
a report that still doesn't fit what was written isn't sent: its card is read again instead.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from agent import clock
from agent.journal import audit, mark
from agent.journal.intake import EVERY_CREDENTIAL, NO_ANSWER, ORDER_UNKNOWN, PUT_IT_BACK
from agent.journal.model import CardStanding
from agent.journal.remains import Remains, Row, json_object, make_tables
from agent.journal.rows import number_digest, order_digest, report_body, tells

_ENDS = {"acknowledged": "reported", "orphaned": "orphaned", "conflict": "failed"}
_ON_ITS_WAY = ("pending", "refused")
_UNCLAIMED: Row = {
    "claim_token": None,
    "claim_kept": 0,
    "picked": 0,
    "priority": 0,
    "wanted_encoder": None,
    "replace_card": 0,
    "overwrite": 0,
    "held_by": None,
    "held_from": None,
}

_REPORT_LOST = (
    "Its card was written, and the report on it was lost with a damaged journal. Get {card} back; with it at hand, "
    "`card-encoder resume {job_id}` has it read again and reported."
)

_ORDER_LOST = (
    "What was known of an order for its card was lost with a damaged journal. See at the vendor's system whether a key "
    "was made of it: `card-encoder resume {job_id}` lets it go on, and may have it ordered once more."
)


@dataclass(frozen=True)
class Carried:
    """What the new journal knows of the old one. `in_doubt` counts credentials, None: all that wait at the service."""

    reports: int
    interrupted: int
    cards: int
    in_doubt: int | None


def write(path: Path, remains: Remains, head: mark.Head | None, *, file: str, found: str) -> Carried:
    """Make a new journal at `path` of what remains. Its audit trail begins with what happened to the old one.

    It is complete, and its content synced, when this returns.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        # What a power cut leaves of it is thrown away and made anew: it is synced once, at the end.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        make_tables(connection)
        journal_id = head.journal_id if head else remains.journal_id
        if journal_id is not None:
            connection.execute("UPDATE identity SET journal_id = ?", (journal_id,))
        carried = _Carrying(connection, remains).carry()
        audit.append(connection, "journal_set_aside", file=file, found=found, **vars(carried))
        connection.execute("COMMIT")
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return carried


class _Carrying:
    """Job by job, from the old rows to new ones."""

    def __init__(self, connection: sqlite3.Connection, remains: Remains) -> None:
        self._connection = connection
        self._remains = remains
        self._now = clock.now_text()
        self._reports = {job_id: rows[-1] for job_id, rows in _by_job(remains.outbox).items()}
        self._attempts = _by_job(remains.attempts)
        self._cards = _by_job([card for card in remains.cards if card["standing"] in tuple(CardStanding)])
        self._next_attempt = max((row["attempt_id"] for row in remains.attempts), default=0)
        self._next_report = max((row["outbox_id"] for row in remains.outbox), default=0)
        self._newest: dict[str, int] = {}
        for job_id in sorted(remains.jobs):
            self._newest[remains.jobs[job_id]["acs_credential_id"]] = job_id
        self._open: set[str] = set()
        self._ordered: set[str] = set()
        self._count: Counter[str] = Counter()

    def carry(self) -> Carried:
        """All of them."""
        (rule,) = self._connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'only_legal_starts'").fetchone()
        self._connection.execute("DROP TRIGGER only_legal_starts")  # they are in the middle of their way
        for job_id in sorted({*self._remains.jobs, *self._reports, *self._cards}):
            with suppress(sqlite3.IntegrityError):  # a value that no such row can have: it counts as lost
                self._carry(job_id)
        self._connection.execute(rule)
        begun = self._remains.begun
        lost = {credential for credential, told in self._remains.told.items() if not told.verified} - self._ordered
        doubts = {EVERY_CREDENTIAL} if begun is None else (begun | lost) - self._open
        self._connection.executemany("INSERT INTO doubts VALUES (?)", [(doubt,) for doubt in doubts])
        in_doubt = None if begun is None else len(doubts)
        return Carried(self._count["reports"], self._count["interrupted"], self._count["cards"], in_doubt)

    def _carry(self, job_id: int) -> None:
        job, report = self._remains.jobs.get(job_id), self._reports.get(job_id)
        attempts, cards = self._attempts.get(job_id, []), self._cards.get(job_id, [])
        body = json_object(report["body"]) if report else {}
        credential = _most(
            job and job["acs_credential_id"],
            job and json_object(job["credential"]).get("acs_credential_id"),
            report and report["acs_credential_id"],
            body.get("acs_credential_id"),
            *(card["acs_credential_id"] for card in cards),
        )
        if credential is None:
            return
        if report is not None and not _is_right(report, body, credential, attempts):
            report = None
        if report is None:
            report = self._made_again(job, credential, attempts, cards)
            body = json_object(report["body"]) if report else {}
        order = self._order(job_id, credential)
        state = _state(job, report, cards, ordered=order is not None)
        uid = _most(
            job and job["card_uid"], *(row["card_uid"] for row in attempts[-1:]), *(card["uid"] for card in cards)
        )
        if uid is None and report is not None:
            uid = ""  # as of a card that has none: there was one, and which it was isn't known any more
        if state is None or (state == "writing" and uid is None):
            return  # the service has it, or there is no card to ask for, and the credential is in doubt
        new = (job or _unreadable_job(job_id, self._now)) | {
            "acs_credential_id": credential,
            "state": state,
            "card_uid": uid,
            "encoder": (job and job["encoder"]) or (attempts[-1]["encoder"] if attempts else "unknown"),
        }
        new |= _as_its_credential_says(new)
        by_vendor = new["vendor"] is not None or new.get("by_order")
        if state == "waiting":
            new |= {"card_uid": None, "encoder": None, **_UNCLAIMED}
        elif state == "writing" and by_vendor and order is None and self._remains.begun is None:
            reason = _ORDER_LOST.format(job_id=job_id)
            new |= {"state": "held", "held_by": "journal", "held_from": "writing"}
            new |= {"code": "order_lost", "reason": reason}
        elif state == "writing" and order is not None and order["stage"] == "asked":
            new |= {"code": ORDER_UNKNOWN, "reason": NO_ANSWER}
        elif state == "writing":
            new |= {"code": "encoding_interrupted", "reason": PUT_IT_BACK}
        elif state == "held" and new["held_by"] is None:
            reason = _REPORT_LOST.format(card=f"card {uid}" if uid else "that card", job_id=job_id)
            new |= {"code": "report_lost", "reason": reason, "held_by": "journal", "held_from": "writing"}
        self._insert("INSERT", "jobs", new)
        if state in ("writing", "held", "verified"):
            self._open.add(credential)
        outcome = "verified" if report else "unknown"
        if new["card_uid"] is not None and not any(_fits(row, new, body, outcome) for row in attempts):
            self._next_attempt += 1
            attempts = [*attempts, _attempt(self._next_attempt, new, body, outcome, self._now)]
        for row in attempts:
            self._insert("INSERT OR IGNORE", "attempts", row)
        if report is not None:
            key = _most(report["idempotency_key"], *self._remains.keys.get(job_id, ()))
            self._insert(
                "INSERT OR IGNORE", "outbox", report | {"acs_credential_id": credential, "idempotency_key": key}
            )
        if order is not None:
            self._insert("INSERT", "orders", order)
            self._ordered.add(credential)
        for card in self._cards_of(new, body, cards, attempts):
            self._insert("INSERT OR IGNORE", "cards", card)
            self._count["cards"] += 1
        self._count["reports"] += state in ("verified", "failed")
        self._count["interrupted"] += state == "writing" or new["code"] == "report_lost"

    def _order(self, job_id: int, credential: str) -> Row | None:
        """What is known of the job's order: by its row, or else by the audit trail, which has no image."""
        row = self._remains.orders.get(job_id)
        if row is not None and row["acs_credential_id"] == credential:
            return row
        told = self._remains.told.get(credential)
        if told is None or not (
            told.job_id == job_id or (self._newest.get(credential) == job_id and not told.verified)
        ):
            return None
        no_image = number_digest("")
        return {
            "job_id": job_id,
            "acs_credential_id": credential,
            "stage": told.stage,
            "facts": told.facts,
            "image": "",
            "image_digest": no_image,
            "digest": order_digest(credential, told.stage, told.facts, no_image),
            "updated_at": self._now,
        }

    def _made_again(self, job: Row | None, credential: str, attempts: list[Row], cards: list[Row]) -> Row | None:
        """The report of a job that is verified, from what else was written down then; None where that isn't enough."""
        verified = [row for row in attempts if row["outcome"] == "verified"]
        entry = self._remains.verified.get(job["job_id"]) if job else None
        if job is None or job["state"] not in ("verified", "failed") or not verified or entry is None:
            return None
        detail, attempt = json_object(entry["detail"]), verified[-1]
        numbers = [*(card["card_number"] for card in cards), job["card_number"], attempt["card_uid"]]
        number = next((number for number in numbers if tells(attempt["content_digest"], number)), None)
        key, at = detail.get("idempotency_key"), attempt["ended_at"]
        if (
            number is None
            or key is None
            or detail.get("replaced") is not False
            or entry["acs_credential_id"] != credential
        ):
            return None
        self._next_report += 1
        return {
            "outbox_id": self._next_report,
            "job_id": job["job_id"],
            "idempotency_key": key,
            "body": json.dumps(report_body(credential, number, at, None)),
            "state": "pending" if job["state"] == "verified" else "conflict",
            "tries": 0,
            "next_try_at": at,
            "created_at": at,
            "updated_at": self._now,
        }

    def _cards_of(self, job: Row, body: Row, cards: list[Row], attempts: list[Row]) -> Iterator[Row]:
        """The cards of this job: as they were, or, where that is lost, as they must have been."""
        uids = {row["card_uid"] for row in attempts}
        its_own = {"acs_credential_id": job["acs_credential_id"], "job_id": job["job_id"]}
        for card in cards:
            number = body.get("card_number") if card["standing"] == "live" else None
            if card["uid"] and card["uid"] in uids:
                yield card | its_own | ({"card_number": number} if number is not None else {})
        unknown = (
            job["state"] == "writing"
            or (job["state"] == "held" and job["held_from"] == "writing")
            or (job["state"] == "cancelled" and job["code"] in ("cancelled", "expired") and _is_torn(attempts))
        )
        on_a_card = unknown or job["state"] in ("verified", "reported", "failed")
        if on_a_card and job["card_uid"] and not {card["uid"] for card in cards} & uids:
            number = body.get("card_number", job["card_number"])
            yield its_own | {
                "uid": job["card_uid"],
                "standing": "unknown" if unknown else "live",
                "card_number": number,
                "number_is_uid": str(number).casefold() == job["card_uid"],
                "ends_at": job["ends_at"],
                "updated_at": self._now,
            }

    def _insert(self, how: str, table: str, row: Row) -> None:
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        self._connection.execute(f"{how} INTO {table} ({columns}) VALUES ({marks})", tuple(row.values()))


def _is_torn(attempts: list[Row]) -> bool:
    """Whether the last of them ended in the middle."""
    return bool(attempts) and attempts[-1]["outcome"] in ("writing", "unknown")


def _by_job(rows: list[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        if isinstance(row["job_id"], int):
            found.setdefault(row["job_id"], []).append(row)
    return found


def _state(job: Row | None, report: Row | None, cards: list[Row], *, ordered: bool) -> str | None:
    """In which state the job goes on; None where the service has all that is to be known of it.

    `report` is there only where it can be trusted. Without it a card is read again before anything is said of it.
    `ordered`: an order was given that may stand, be it for an earlier job.
    """
    if report is not None:
        return _ENDS.get(report["state"], "verified")
    if job is None:
        return "writing" if any(card["standing"] == "unknown" for card in cards) else "cancelled"
    if job["state"] in ("bound", "writing"):
        return "writing"
    if job["state"] in ("verified", "failed"):
        return "held"
    if job["state"] == "held" and (job["held_by"] != "agent" or job["held_from"] == "writing"):
        return "held"
    if job["state"] in ("held", "waiting", "claimed"):
        return "waiting" if ordered else None
    return "cancelled"


def _most(*values: object) -> str | None:
    """What most of them say."""
    said = Counter(value for value in values if isinstance(value, str))
    return said.most_common(1)[0][0] if said else None


def _is_right(report: Row, body: Row, credential: str, attempts: list[Row]) -> bool:
    """Whether the report says what was verified on the card."""
    digests = [row["content_digest"] for row in attempts if row["outcome"] == "verified"]
    return (
        report["state"] in (*_ENDS, *_ON_ITS_WAY)
        and body.get("acs_credential_id") == credential
        and body.get("issued_at") == report["created_at"]
        and body.keys() == report_body("", "", "", None).keys()
        and (not digests or any(tells(digest, body["card_number"]) for digest in digests))
    )


def _fits(attempt: Row, job: Row, body: Row, outcome: str) -> bool:
    if attempt["card_uid"] != job["card_uid"] or attempt["encoder"] != job["encoder"]:
        return False
    if outcome != "verified":
        return True
    return attempt["outcome"] == "verified" and tells(attempt["content_digest"], body["card_number"])


def _attempt(attempt_id: int, job: Row, body: Row, outcome: str, now: str) -> Row:
    """The attempt that there must have been."""
    return {
        "attempt_id": attempt_id,
        "job_id": job["job_id"],
        "encoder": job["encoder"],
        "card_uid": job["card_uid"],
        "medium": "unknown",
        "content_digest": number_digest(str(body.get("card_number"))),
        "outcome": outcome,
        "started_at": now,
    }


def _as_its_credential_says(job: Row) -> Row:
    """The credential as last seen, where that can be trusted; else nothing but its id, until the service is asked."""
    seen = json_object(job["credential"])
    system = seen.get("acs_system_id")  # of which an earlier version's journal has no column
    known = {"acs_credential_id": job["acs_credential_id"], "card_number": job["card_number"]}
    known |= {"acs_system_id": job.get("acs_system_id", system)}
    if all(seen.get(name) == value for name, value in known.items()):
        return {"acs_system_id": system}
    bare = json.dumps({"acs_credential_id": job["acs_credential_id"]})
    return {"credential": bare, "card_number": None, "acs_system_id": None, "digest": b""}


def _unreadable_job(job_id: int, now: str) -> Row:
    return {
        "job_id": job_id,
        "ready": 1,
        "code": "journal_set_aside",
        "reason": "Saved from a damaged journal.",
        "credential": "{}",
        "card_number": None,
        "acs_system_id": None,
        "digest": b"",
        "reissue": 0,
        "vendor": None,
        "issued": 0,
        "sort_key": "",
        "ends_at": None,
        "held_by": None,
        "encoder": None,
        "created_at": now,
        "updated_at": now,
    }
