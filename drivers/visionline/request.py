"""What a Visionline encoder may be asked for."""

from __future__ import annotations

from drivers.content import VisionlineOrder
from drivers.encoder import EncodeRequest
from drivers.errors import IncompatibleCardFormat


def order_of(request: EncodeRequest) -> VisionlineOrder:
    """The order.

    Raises:
        IncompatibleCardFormat: it is none.
    """
    if not isinstance(request.content, VisionlineOrder):
        raise IncompatibleCardFormat(
            "This encoder makes Visionline cards only.",
            next_step="Encode this credential on an encoder that writes card numbers.",
        )
    return request.content
