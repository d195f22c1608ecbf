"""The register's tables. They live in a schema of their own, in any PostgreSQL from version 12 on."""

from __future__ import annotations

from typing import LiteralString

VERSION = 1
CHANNEL = "card_encoder"

SCHEMA: LiteralString = """
CREATE SCHEMA IF NOT EXISTS card_encoder;

CREATE TABLE card_encoder.version (number integer NOT NULL);
INSERT INTO card_encoder.version VALUES (1);

CREATE SEQUENCE card_encoder.tokens;

CREATE TABLE card_encoder.desks (
    desk              text PRIMARY KEY,
    journal_id        text NOT NULL,
    seen_at           timestamptz NOT NULL
);

CREATE TABLE card_encoder.claims (
    acs_credential_id text PRIMARY KEY,
    journal_id        text,
    desk              text,
    token             bigint NOT NULL DEFAULT 0,
    standing          text NOT NULL DEFAULT 'free' CHECK (standing IN ('free', 'leased', 'kept', 'begun', 'done')),
    leased_until      timestamptz,
    card_uid          text,
    wanted_by         text,
    changed_at        timestamptz NOT NULL DEFAULT now(),
    CHECK (standing IN ('free', 'done') OR (journal_id IS NOT NULL AND desk IS NOT NULL))
);
CREATE INDEX claims_held ON card_encoder.claims (standing) WHERE standing IN ('leased', 'kept', 'begun');
CREATE INDEX claims_by_card ON card_encoder.claims (card_uid) WHERE standing = 'begun';

CREATE FUNCTION card_encoder.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('card_encoder', json_build_object(
        'acs_credential_id', NEW.acs_credential_id, 'journal_id', NEW.journal_id, 'desk', NEW.desk,
        'standing', NEW.standing, 'wanted_by', NEW.wanted_by)::text);
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE ON card_encoder.claims FOR EACH ROW
    WHEN ((OLD.journal_id, OLD.standing, OLD.wanted_by) IS DISTINCT FROM (NEW.journal_id, NEW.standing, NEW.wanted_by))
    EXECUTE FUNCTION card_encoder.tell();
CREATE TRIGGER tell_new AFTER INSERT ON card_encoder.claims FOR EACH ROW
    WHEN (NEW.standing <> 'free') EXECUTE FUNCTION card_encoder.tell();
"""
