from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.sandbox.visionline.store import Store
from tests.agent.sandbox.visionline.test_cards import CARD


def test_cards_and_the_secret_are_there_again(tmp_path: Path) -> None:
    path = tmp_path / "visionline.sqlite3"
    first = Store(path)
    first.keep([CARD, replace(CARD, number=100002)])
    first.keep([replace(CARD, overridden=True)])
    secret = first.secret()
    first.close()
    second = Store(path)
    assert second.cards() == [replace(CARD, overridden=True), replace(CARD, number=100002)]
    assert second.secret() == secret
    second.close()


def test_no_two_have_the_same_secret() -> None:
    assert Store(None).secret() != Store(None).secret()


def test_cards_are_kept_all_or_none() -> None:
    def broken() -> Iterator:
        yield CARD
        raise RuntimeError

    store = Store(None)
    with pytest.raises(RuntimeError):
        store.keep(broken())
    unkeepable = replace(CARD, number="no number")
    with pytest.raises(sqlite3.Error):
        store.keep([CARD, unkeepable])
    assert store.cards() == []


def test_another_file_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "visionline.sqlite3"
    path.write_text("This is no database, and longer than the header of one is." * 20)
    with pytest.raises(sqlite3.DatabaseError):
        Store(path)
