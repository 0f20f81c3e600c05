"""What HARPA's two stages minimise, as pure functions."""

from torch import Tensor


def travel_time_loss(predicted_s: Tensor, true_s: Tensor) -> Tensor:
    """Mean square error of travel times (paper, Eq. 11), s^2.

    Args:
        predicted_s: `(point, station)`.
        true_s: `(point, station)`.
    """
    return (predicted_s - true_s).square().mean()


def wave_speed_loss(mean_square_km_s: Tensor, speed_span_km_s: float) -> Tensor:
    """Mean square error of wave speeds over their span, a number about 0 to 1 as in the paper's stop threshold.

    Args:
        mean_square_km_s: `(wave_speed,)`, each one's mean over the grid, km^2/s^2.
        speed_span_km_s: Fastest minus slowest wave speed.
    """
    return mean_square_km_s.mean() / speed_span_km_s**2
