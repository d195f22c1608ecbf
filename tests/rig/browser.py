"""Debian's Chromium, driven by Playwright, with a record of what a page complains about and whom it talks to."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visit:
    """A page, and what was noticed on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


@asynccontextmanager
async def browser_page(
    *, width: int = 1280, height: int = 900, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Visit]:
    """An empty page of a fresh profile."""
    if shutil.which(CHROMIUM) is None:
        pytest.fail("Chromium is missing: `make test` installs it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = await browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            visit = Visit(page)
            page.on("console", lambda message: visit.complaints.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: visit.complaints.append(f"error: {error}"))
            page.on("request", lambda request: visit.hosts.add(urlsplit(request.url).hostname or request.url))
            yield visit
        finally:
            await browser.close()
