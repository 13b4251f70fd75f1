"""Methods of the kind `deviation`: one file each, one line here."""

from __future__ import annotations

from hub.rules.kinds.detectors import cusum, ewma, novelty, robust, seasonal
from hub.rules.kinds.detectors.detector import Detector, Sensitivity, Setting

DETECTORS: dict[str, Detector] = {
    detector.name: detector
    for detector in (
        ewma.DETECTOR,
        robust.DETECTOR,
        seasonal.DETECTOR,
        cusum.DETECTOR,
        novelty.DETECTOR,
    )
}

__all__ = ["DETECTORS", "Detector", "Sensitivity", "Setting"]
