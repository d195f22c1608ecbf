"""What an encoder is made of: one that writes what a vendor's server makes has a card encoder within it."""

from __future__ import annotations

from collections.abc import Iterator

from agent.config import Config, EncoderConfig


def parts(config: Config) -> Iterator[EncoderConfig]:
    """Each encoder, and, where its options name the driver that writes its cards, that one as an encoder as well."""
    for encoder in config.encoder:
        yield encoder
        options = encoder.options
        if isinstance(driver := options.get("card_driver"), str) and driver:
            yield encoder.model_copy(update={"driver": driver, "options": options.get("card_options", {})})
