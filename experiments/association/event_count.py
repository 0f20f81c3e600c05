"""How many events there are, where nobody says: an event stays if its picks are better evidence for it than for chance.

For an event with h picks among C channels, each with residual r, the logarithm of the ratio of

    its picks under the event    (h/C)^h (1 - h/C)^(C - h)  prod  N(r; 0, s^2)
    the same picks by chance     prod  (rate of picks of that channel)

is lessened by the choice of place and time: the volume of space and time it may lie in, over that its picks leave it
(the Laplace approximation, with the Gauss-Newton Hessian). So four picks that any place can be found for count for
nothing, and the more places were tried, the more an event has to show. It is in nats.
"""

import numpy as np

LEAST_EVIDENCE = 6.0
"""Nats; about 1 in 400 that chance does it once in the volume and time searched."""
LEAST_PICKS = 5
"""Four unknowns fit four picks."""


def evidence(
    residuals_s: np.ndarray, derivatives: np.ndarray, rates: np.ndarray, error_s: float, volume: float
) -> np.ndarray:
    """Evidence for each event.

    Args:
        residuals_s: `(channel, event)`, NaN where the event has no pick.
        derivatives: `(event, 4, channel)`: time, and its derivatives by x, y, z.
        rates: `(channel,)`, picks a second.
        error_s: Standard error of a pick.
        volume: Of the space and time searched, km^3 s.

    Returns:
        `(event,)`, nats; minus infinity with fewer than `LEAST_PICKS` picks.
    """
    n_channels, n_events = residuals_s.shape
    out = np.full(n_events, -np.inf)
    for event in range(n_events):
        has = np.isfinite(residuals_s[:, event])
        n = int(has.sum())
        if n < LEAST_PICKS:
            continue
        share = n / n_channels
        seen = n * np.log(share) + (n_channels - n) * np.log1p(-share) if n < n_channels else 0.0
        r = residuals_s[has, event] / error_s
        picks = -np.log(np.maximum(rates[has], 1e-9) * error_s * np.sqrt(2 * np.pi)) - 0.5 * r**2
        by_event = np.column_stack([derivatives[event, 1:, has], np.ones(n)]) / error_s
        determinant = np.linalg.slogdet(by_event.T @ by_event + 1e-9 * np.eye(4))[1]
        left = 2.0 * np.log(2 * np.pi) - 0.5 * determinant
        out[event] = seen + picks.sum() + min(left - np.log(volume), 0.0)
    return out
