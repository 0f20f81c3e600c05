"""Standard errors of hypocentres and origin times, from the Gauss-Newton Hessian at the solution.

With J the derivatives of an event's arrivals by its position and origin time, the covariance is s^2 (J^T J)^-1, s being
the standard error of a pick against its arrival. An unknown wave speed is estimated with the events, so its own
uncertainty is carried over to theirs (a Schur complement). The association is taken as right: where picks of several
events lie within s of one another, true errors are larger.
"""

from typing import NamedTuple

import numpy as np
import torch

from experiments.association.problem import Events, Problem

SINGULAR = 1e-10  # of the largest eigenvalue, after each column of J has been scaled to length 1


class StandardErrors(NamedTuple):
    """Standard errors; NaN for what the picks do not determine.

    Args:
        positions_km: `(event, 3)`.
        times_s: `(event,)`.
        latent: `(n_latent,)`; None where the wave speed is known.
    """

    positions_km: np.ndarray
    times_s: np.ndarray
    latent: np.ndarray | None


def _inverse(hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-inverse of a symmetric matrix, and which of its unknowns are determined."""
    scale = np.sqrt(np.clip(np.diag(hessian), 0.0, None))  # a Schur complement may round to below 0
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    good = values > SINGULAR * max(float(values[-1]), np.finfo(float).tiny)
    inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T
    determined = (vectors[:, ~good] ** 2).sum(axis=1) < 1e-8
    return inverse / np.outer(scale, scale), determined


def standard_errors(
    problem: Problem,
    events: Events,
    event_of_pick: np.ndarray,
    residuals_s: np.ndarray,
    latent: np.ndarray | None = None,
) -> StandardErrors:
    """Standard errors of an association's events.

    Args:
        problem: The problem.
        events: The estimated events.
        event_of_pick: `(pick,)` int, -1 for none.
        residuals_s: `(pick,)`; where they are larger than the problem's own standard error would make them, theirs is
            taken.
        latent: `(n_latent,)`, the estimated code of an unknown wave speed.
    """
    n_events, n_latent = len(events), 0 if latent is None else len(latent)
    position_errors_km, time_errors_s = np.full((n_events, 3), np.nan), np.full(n_events, np.nan)
    latent_errors = None if latent is None else np.full(n_latent, np.nan)
    taken = np.flatnonzero(event_of_pick >= 0)
    if len(taken) == 0:
        return StandardErrors(position_errors_km, time_errors_s, latent_errors)
    channel = np.empty(len(problem.picks), np.int64)
    for c, picks in enumerate(problem.picks_of_channel):
        channel[picks] = c
    _, by_position, by_latent = problem.travel_times.times_and_derivatives(
        torch.as_tensor(np.asarray(events.positions_km), dtype=torch.float64),
        problem.channels,
        None if latent is None else torch.as_tensor(latent, dtype=torch.float64),
    )
    mine = event_of_pick[taken]
    by_event = np.ones((len(taken), 4))
    by_event[:, :3] = by_position.numpy()[mine, channel[taken]]
    by_code = np.zeros((len(taken), 0)) if by_latent is None else by_latent.numpy()[mine, channel[taken]]

    rows = [np.flatnonzero(mine == event) for event in range(n_events)]
    inverses = [_inverse(by_event[row].T @ by_event[row]) for row in rows]
    crossed = [by_event[row].T @ by_code[row] for row in rows]
    of_code, code_is_known = np.zeros((0, 0)), np.ones(0, bool)
    if latent_errors is not None:
        left = by_code.T @ by_code - sum(c.T @ inverse @ c for (inverse, _), c in zip(inverses, crossed, strict=True))
        of_code, code_is_known = _inverse(left)
    degrees = len(taken) - 4 * n_events - n_latent
    rms_s = np.sqrt(np.nansum(residuals_s[taken] ** 2) / degrees) if degrees > 0 else 0.0
    error_s = max(problem.time_error_s, float(rms_s))
    for event, ((inverse, determined), cross) in enumerate(zip(inverses, crossed, strict=True)):
        carried = inverse @ cross
        variances = np.diag(inverse + carried @ of_code @ carried.T)
        known = determined & ~(np.abs(carried[:, ~code_is_known]) > 1e-8).any(axis=1)
        errors = np.where(known, error_s * np.sqrt(variances), np.nan)
        position_errors_km[event], time_errors_s[event] = errors[:3], errors[3]
    if latent_errors is not None:
        latent_errors = np.where(code_is_known, error_s * np.sqrt(np.diag(of_code)), np.nan)
    return StandardErrors(position_errors_km, time_errors_s, latent_errors)
