"""Tables, and the rules that the database keeps by itself.

A state can only follow one that `TRANSITIONS` names: a trigger refuses all else, so that no bug in the agent can make
an illegal step. The outbox and the audit trail can't be deleted from, the audit trail can't be changed either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

TRANSITIONS: dict[str, tuple[str, ...]] = {
    "waiting": ("claimed", "held", "cancelled"),
    "claimed": ("waiting", "bound", "held", "cancelled"),
    # Back to claimed: the card left, or was refused, before a byte was written.
    "bound": ("claimed", "writing", "verified"),
    # Back to claimed: the driver vouches that the card was left invalid. Else it stays here until the card was read.
    "writing": ("claimed", "verified", "held", "cancelled"),
    "held": ("waiting", "writing", "cancelled"),
    "verified": ("reported", "orphaned", "failed"),
    "failed": ("verified",),
    "cancelled": (),
    "reported": (),
    "orphaned": (),
}

QUEUE = ("writing", "bound", "claimed", "held", "waiting", "verified")
"""The open states, what comes next first. A credential has one job at most that is in one of them."""
OPEN = str(QUEUE)
ENDED = str(tuple(state for state in TRANSITIONS if state not in QUEUE))
"""The open states and the others, as SQL."""

_STATES = ", ".join(f"'{state}'" for state in TRANSITIONS)
_STEPS = ", ".join(f"('{a}', '{b}')" for a, after in TRANSITIONS.items() for b in after)

_V1 = f"""
CREATE TABLE jobs (
    job_id            INTEGER PRIMARY KEY AUTOINCREMENT,
    acs_credential_id TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ({_STATES})),
    ready             INTEGER NOT NULL,      -- the decision is to encode
    code              TEXT NOT NULL,         -- why it stands where it stands, for machines
    reason            TEXT NOT NULL,         -- and for people
    credential        TEXT NOT NULL,
    digest            BLOB NOT NULL,
    reissue           INTEGER NOT NULL,
    vendor            TEXT,                  -- who alone can make its card data
    issued            INTEGER NOT NULL,      -- the service has it on a card
    card_number       TEXT,
    sort_key          TEXT NOT NULL,
    ends_at           TEXT,
    priority          INTEGER NOT NULL DEFAULT 0,
    picked            INTEGER NOT NULL DEFAULT 0,
    asked             INTEGER NOT NULL DEFAULT 0, -- a person wants it though the service doesn't wait for it
    wanted_encoder    TEXT,
    encoder           TEXT,
    card_uid          TEXT,
    replace_card      INTEGER NOT NULL DEFAULT 0,
    overwrite         INTEGER NOT NULL DEFAULT 0,
    requested_by      TEXT,
    request_reason    TEXT,
    consent           TEXT,                  -- the code of the hold that a person lifted
    held_by           TEXT,                  -- 'agent' or the person
    held_from         TEXT,                  -- the state to go back to
    created_at        TEXT NOT NULL,
    updated_at        TEXT NOT NULL
);
CREATE UNIQUE INDEX one_open_job ON jobs (acs_credential_id)
    WHERE state IN {OPEN};
CREATE INDEX jobs_in_order ON jobs (state, priority DESC, sort_key, job_id);
CREATE INDEX jobs_picked ON jobs (priority DESC, sort_key, job_id) WHERE state = 'claimed' AND picked = 1;
CREATE INDEX jobs_by_number ON jobs (card_number COLLATE NOCASE) WHERE state = 'claimed' AND issued = 1;
CREATE INDEX jobs_by_end ON jobs (ends_at) WHERE state IN ('waiting', 'claimed', 'writing', 'held');
CREATE INDEX jobs_by_time ON jobs (updated_at DESC, job_id DESC) WHERE state IN {ENDED};
CREATE INDEX jobs_by_credential ON jobs (acs_credential_id);

CREATE TABLE steps (before TEXT NOT NULL, after TEXT NOT NULL, PRIMARY KEY (before, after)) WITHOUT ROWID;
INSERT INTO steps VALUES {_STEPS};
CREATE TRIGGER only_legal_steps BEFORE UPDATE OF state ON jobs
    WHEN NOT EXISTS (SELECT 1 FROM steps WHERE before = OLD.state AND after = NEW.state)
    BEGIN SELECT RAISE(ABORT, 'illegal step'); END;
CREATE TRIGGER only_legal_starts BEFORE INSERT ON jobs WHEN NEW.state NOT IN ('waiting', 'held')
    BEGIN SELECT RAISE(ABORT, 'illegal step'); END;
CREATE TRIGGER jobs_stay BEFORE DELETE ON jobs BEGIN SELECT RAISE(ABORT, 'jobs are kept'); END;

CREATE TABLE joins (
    job_id            INTEGER NOT NULL REFERENCES jobs,
    joined_id         TEXT NOT NULL,
    PRIMARY KEY (job_id, joined_id)
) WITHOUT ROWID;

CREATE TABLE attempts (
    attempt_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id            INTEGER NOT NULL REFERENCES jobs,
    encoder           TEXT NOT NULL,
    card_uid          TEXT NOT NULL,
    medium            TEXT NOT NULL,
    content_digest    TEXT NOT NULL,         -- of what the card is to hold
    outcome           TEXT NOT NULL CHECK (outcome IN ('bound', 'writing', 'verified', 'left', 'unknown')),
    error_type        TEXT,
    error             TEXT,
    card_before       TEXT,                  -- what was known of the card when writing began, as JSON
    started_at        TEXT NOT NULL,
    ended_at          TEXT
);
CREATE INDEX attempts_by_job ON attempts (job_id);

CREATE TABLE cards (
    uid               TEXT PRIMARY KEY,
    acs_credential_id TEXT NOT NULL,
    job_id            INTEGER NOT NULL REFERENCES jobs,
    standing          TEXT NOT NULL CHECK (standing IN ('live', 'unknown', 'void')),
    card_number       TEXT,
    number_is_uid     INTEGER NOT NULL,
    ends_at           TEXT,
    updated_at        TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX cards_by_credential ON cards (acs_credential_id);

CREATE TABLE outbox (
    outbox_id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id            INTEGER NOT NULL REFERENCES jobs,
    acs_credential_id TEXT NOT NULL,
    idempotency_key   TEXT NOT NULL UNIQUE,
    body              TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('pending', 'acknowledged', 'orphaned', 'conflict', 'refused')),
    tries             INTEGER NOT NULL DEFAULT 0,
    next_try_at       TEXT NOT NULL,
    last_answer       TEXT,
    created_at        TEXT NOT NULL,
    updated_at        TEXT NOT NULL
);
CREATE INDEX outbox_due ON outbox (next_try_at) WHERE state = 'pending';
CREATE INDEX outbox_by_job ON outbox (job_id);
CREATE INDEX outbox_unfinished ON outbox (outbox_id) WHERE state IN ('pending', 'conflict', 'refused');
CREATE TRIGGER outbox_stays BEFORE DELETE ON outbox BEGIN SELECT RAISE(ABORT, 'the outbox is kept'); END;
CREATE TRIGGER outbox_body_stays BEFORE UPDATE OF body, idempotency_key ON outbox
    BEGIN SELECT RAISE(ABORT, 'a report never changes'); END;

CREATE TABLE audit (
    seq               INTEGER PRIMARY KEY,
    at                TEXT NOT NULL,
    event             TEXT NOT NULL,
    actor             TEXT NOT NULL,
    job_id            INTEGER,
    acs_credential_id TEXT,
    encoder           TEXT,
    card_uid          TEXT,
    detail            TEXT NOT NULL,
    hash              TEXT NOT NULL          -- of this entry and of the hash before it
);
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is kept'); END;
CREATE TRIGGER audit_is BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is kept'); END;
"""

_V2 = """
CREATE TABLE identity (journal_id TEXT NOT NULL); -- by which the desks that share a system tell each other apart
INSERT INTO identity VALUES (lower(hex(randomblob(16))));
CREATE TRIGGER identity_stays BEFORE DELETE ON identity BEGIN SELECT RAISE(ABORT, 'a journal stays itself'); END;
-- The claim that this desk holds on the job, where desks share a system: its token, and whether it is this desk's for
-- as long as it takes, database or no database, or only leased.
ALTER TABLE jobs ADD COLUMN claim_token INTEGER;
ALTER TABLE jobs ADD COLUMN claim_kept INTEGER NOT NULL DEFAULT 0;
"""

_V3 = """
-- Credentials for which a card may have been made that this journal doesn't know of, since an earlier one was lost.
CREATE TABLE doubts (acs_credential_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""

CARD_IS_OUT = """seen_to_by IS NULL AND card_uid IS NOT NULL
    AND (state IN ('failed', 'orphaned') OR (state = 'cancelled' AND code <> 'cancelled'))"""
"""Jobs that ended although a card may have been begun for them, as SQL: a person sees to that card."""

_V4 = f"""
ALTER TABLE jobs ADD COLUMN seen_to_by TEXT; -- who took the card back, or settled otherwise what became of it
CREATE INDEX jobs_whose_card_is_out ON jobs (updated_at) WHERE {CARD_IS_OUT};
"""

_V5 = """
-- Whether the service had the credential on a card already when this attempt began.
ALTER TABLE attempts ADD COLUMN issued INTEGER NOT NULL DEFAULT 1;
"""

_V6 = """
-- The access system that the credential is of, and whether an encoder of this desk makes its key by order.
ALTER TABLE jobs ADD COLUMN acs_system_id TEXT;
ALTER TABLE jobs ADD COLUMN by_order INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET acs_system_id = json_extract(credential, '$.acs_system_id')
    WHERE json_valid(credential) AND json_type(credential, '$.acs_system_id') = 'text';
-- Of what could not be read as a credential the number was left out, which looked like damage once a person resumed it.
UPDATE jobs SET card_number = json_extract(credential, '$.card_number')
    WHERE card_number IS NULL AND json_valid(credential) AND json_type(credential, '$.card_number') = 'text';
-- Cards without a UID look alike: what was known of one would be taken for known of the next.
CREATE TRIGGER cards_have_uids BEFORE INSERT ON cards WHEN NEW.uid = ''
    BEGIN SELECT RAISE(ABORT, 'a card without a UID'); END;
"""

_V7 = """
-- What is known of the orders that jobs gave to vendors' systems. One that may still stand passes to the credential's
-- next job. The image goes once nobody will write it any more.
CREATE TABLE orders (
    job_id            INTEGER PRIMARY KEY REFERENCES jobs,
    acs_credential_id TEXT NOT NULL,
    stage             TEXT NOT NULL CHECK (stage IN ('asked', 'answered')),
    facts             TEXT NOT NULL,         -- JSON
    image             TEXT NOT NULL,         -- hex
    image_digest      TEXT NOT NULL,
    digest            TEXT NOT NULL,         -- of all of it but the job
    updated_at        TEXT NOT NULL
);
CREATE TRIGGER images_go AFTER UPDATE OF state ON jobs WHEN NEW.state IN ('verified', 'cancelled')
    BEGIN UPDATE orders SET image = '' WHERE job_id = NEW.job_id; END;
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _V4, _V5, _V6, _V7)
"""MIGRATIONS[n] leads from schema version n to n + 1. Never change one that was released: add another."""


def statements(script: str) -> Iterator[str]:
    """The script's statements one by one: executescript would end the transaction that a migration runs in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
