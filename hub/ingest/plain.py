"""The everyday message - numbers of one device, measured at one time - in the few fields that its way to the columns needs.

Nearly all traffic is of this kind. A codec that can tell it at a glance hands it over as `Plain` and spares making a
`Decoded` with a `Reading` for each value; whatever is not plain goes the general way, which says the same in full.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np

from hub.model.quantities import CODE

Plain = tuple[str, int | None, int | None, bytes, Collection[float]]
"""(address, observed_at_ms, seq, codes, values): canonical numbers of the device at `address`, measured at one time.

`codes`: the codes of their quantities, two bytes each. No time: the message gave none. A bare tuple, for a named one costs
as much as all else that is done for such a message here.
"""

Glance = Callable[[str, bytes, int], Plain | None]
"""(topic, payload, received_at_ms) → the message if it is plain. None says nothing of it."""

CODE_BYTES: tuple[bytes, ...] = tuple(np.int16(code).tobytes() for code in range(len(CODE)))
"""By code: the code as `Plain.codes` and the reader's columns hold it."""


def codes_of(names: Iterable[str]) -> bytes:
    """The codes of `names` in a row."""
    return b"".join(CODE_BYTES[CODE[name]] for name in names)
