"""What of the velocity side stays as it was while the seismic decoder learns (paper, Eqs. 3 and 4, flag F).

The paper freezes either nothing or both the encoder and the velocity decoder, and asks what would be best. Here each
can be frozen alone, and what is frozen can thaw after some epochs.
"""

from collections.abc import Mapping
from typing import Any

FROZEN_PARTS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "encoder": ("encoder",),
    "velocity_decoder": ("velocity_decoder",),
    "both": ("encoder", "velocity_decoder"),
}


def frozen_parts(settings: Mapping[str, Any], epoch: int | None = None) -> tuple[str, ...]:
    """Return the parts that stage `paired` does not change.

    Args:
        settings: The module's settings.
        epoch: In this epoch, counted from 0; None: in none of the stage's epochs.
    """
    thaw_after = settings["thaw_after"]
    thaws = thaw_after is not None and (epoch is None or epoch >= thaw_after)
    return () if thaws else FROZEN_PARTS[settings["freeze"]]
