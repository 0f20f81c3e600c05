"""What can be set of a catalogue's association; defaults follow from the network and the picks."""

from dataclasses import dataclass

FIRST_ERROR_S, FIRST_FACTOR, GATE_ERRORS = 0.15, 1.5, 4.5


@dataclass(frozen=True)
class CatalogueSettings:
    """How events are sought and which are kept.

    Args:
        pick_error_s: Standard error of a P pick against its travel time, the model's error included, seconds; None:
            learnt with the station corrections, .15 to begin with.
        s_error_factor: How many times that of an S pick is; None: learnt likewise, 1.5 to begin with.
        max_residual_s: No P pick of an event is further from its arrival, seconds, S by the factor; None: 4.5 standard
            errors.
        least_picks: An event has at least so many picks.
        least_p: And so many of P.
        least_s: And so many of S.
        least_both: And so many stations with P and S.
        least_evidence: And so much evidence, nats (`catalogue/evidence.py`).
        window_s: Windows are about so long, and end where the picks allow; None: from the longest travel time.
        node_spacing_km: Of the search grid; None: from the network's own size.
        station_corrections: Learn corrections of each station and phase, and errors, from the events themselves.
        learning_picks: From so many picks at the start of the stream.
        rounds: Searches of a window, each among the picks that no event has yet.
    """

    pick_error_s: float | None = None
    s_error_factor: float | None = None
    max_residual_s: float | None = None
    least_picks: int = 6
    least_p: int = 3
    least_s: int = 1
    least_both: int = 0
    least_evidence: float = 10.0
    window_s: float | None = None
    node_spacing_km: float | None = None
    station_corrections: bool = True
    learning_picks: int = 30_000
    rounds: int = 20

    @property
    def p_error_s(self) -> float:
        """Standard error of P."""
        return FIRST_ERROR_S if self.pick_error_s is None else self.pick_error_s

    @property
    def s_error_s(self) -> float:
        """Standard error of S."""
        return self.p_error_s * (FIRST_FACTOR if self.s_error_factor is None else self.s_error_factor)

    @property
    def p_gate_s(self) -> float:
        """Largest residual of P."""
        return GATE_ERRORS * self.p_error_s if self.max_residual_s is None else self.max_residual_s

    @property
    def s_gate_s(self) -> float:
        """Largest residual of S."""
        return self.p_gate_s * self.s_error_s / self.p_error_s
