"""Seismic decoder D_s that knows where waves go: a learned Kirchhoff sum over the reflectors of the decoded map.

A reflected wave arrives when it has travelled from the source to a reflector and on to the receiver. A decoder that has
nothing but the co-latent must learn that from a few hundred pairs. This one reads the decoded map v' = D_v(W_v z)
beside z'_s and sums, as Kirchhoff modelling does, over the pieces of the surfaces at which v' changes,

    d(s, r, t) = sum_points w b_s b_r q_sr  [ sum_k c_k(s, r) w_k(t - tau_s - tau_r) ]

with a piece's weight w, the obliquity q_sr = (cos n_s + cos n_r) / 2 of both legs to its normal, and responses

    c_k = A_k R_0 + B_k Re R(i) + C_k Im R(i)

of R_0 = (v_below - v_above) / (v_below + v_above) and the plane-wave reflection coefficient R(i) at half the angle
between the legs, which beyond the critical angle turns the wavelet. Times tau of one leg are those of rays that bend
(`one_way_times`), plus a learned correction; learned too are the amplitudes b of the legs, the A_k, B_k and C_k
(angles, dip, velocities and the latent decide), and the wavelets w_k. Waves that are thrown from flank to flank of a
valley before they come up (`bounces`) are added in the same way from where they are reflected last, with coefficients
A_k, B_k and C_k of their own, and the product of the reflection coefficients on their way. It simulates nothing: what
comes up from the underside of an interface, or around an edge, is not there, and everything in the sum that is a
number and not a time is trained on the n pairs. That is a deviation from the paper, whose D_s is a transformer
(`seismic_decoder`, kept) that reads the latent alone.

The output is the reflections in raw amplitude, to which the exact direct wave is added. No gradient runs into the map.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.bounces import N_BOUNCE_FEATURES, Bounces, bounces_of
from lightning_modules.ubdiff.geometry import PEAK_FREQUENCY_HZ, SHOT_COLUMNS, TIME_STEPS_MS, WAVELET_DELAY_S
from lightning_modules.ubdiff.rays import N_LEG_FEATURES, Legs, Medium, legs_of, medium_of
from lightning_modules.ubdiff.reflection_coefficient import reflection_coefficient

BIN_S = 0.004
"""Time step in which arrivals are collected: an eighth of the shortest period of note."""
HALF_TAPS = 22
"""Wavelets reach so many bins to either side."""
BLOCK_BINS = 50
N_BLOCKS = 5
N_BINS = N_BLOCKS * BLOCK_BINS + 2 * HALF_TAPS + 2
"""Two more than are read: they take what arrives after the end of the gather."""
N_WAVELETS = 4
TIMED_AT_ONCE = 16
"""Maps whose waves are marched together."""
MAPS_AT_ONCE = 2
"""Maps whose arrivals are collected together."""
POINTS_AT_ONCE = 128
"""Points whose pairs of legs are worked on together: few enough for a processor's cache."""
WAVES_AT_ONCE = 512
"""Waves from more than one reflection that are worked on together."""
TIME_CORRECTION_S = 0.002
N_RECEIVERS = 70


class KirchhoffDecoder(nn.Module):
    """Seismic latent and decoded map to reflections.

    Args:
        latent_dim: Length of z'_s.
        n_time: Time samples of a gather of one second.
        width: Hidden width of the response of a point to a pair of legs.
        least_reflection: Points whose reflection coefficient is not above it are left out.
        most_reflections: Reflections on a wave's way, at most; with 1 none goes from flank to flank.
    """

    shots: Tensor
    resample: Tensor
    tap: Tensor
    tap_is_inside: Tensor

    def __init__(
        self,
        latent_dim: int,
        n_time: int,
        width: int = 16,
        least_reflection: float = 8e-3,
        most_reflections: int = 2,
    ) -> None:
        super().__init__()
        self.n_time, self.width, self.least_reflection = n_time, width, least_reflection
        self.most_reflections = most_reflections
        hidden = 2 * width
        self.leg = nn.Linear(N_LEG_FEATURES, hidden)
        self.latent_shift = nn.Linear(latent_dim, hidden, bias=False)
        nn.init.zeros_(self.latent_shift.weight)
        self.leg_out = nn.Linear(hidden, 2 * width + 2)
        self.response = nn.Linear(width, 3 * N_WAVELETS)  # A_k, B_k, C_k
        with torch.no_grad():  # begin with R_0 and one wavelet, and near the right size
            self.response.weight.mul_(0.3)
            self.response.bias.copy_(torch.eye(3 * N_WAVELETS)[0])
        if most_reflections > 1:
            self.bounce = nn.Linear(N_BOUNCE_FEATURES, width, bias=False)
            nn.init.zeros_(self.bounce.weight)
            self.later_response = nn.Linear(width, 3 * N_WAVELETS)
            with torch.no_grad():  # begin with Re R and one wavelet, and Im R and its Hilbert transform
                self.later_response.weight.mul_(0.3)
                start = torch.eye(3 * N_WAVELETS)
                self.later_response.bias.copy_(start[N_WAVELETS] + 0.5 * start[2 * N_WAVELETS + 1])
        self.wavelets = nn.Parameter(_starting_wavelets())
        # One block of output times reads BLOCK_BINS + 2 HALF_TAPS bins: a Toeplitz matrix, the same for all blocks.
        offset = torch.arange(BLOCK_BINS + 2 * HALF_TAPS)[:, None] - torch.arange(BLOCK_BINS)
        self.register_buffer("tap", offset.clamp(0, 2 * HALF_TAPS), persistent=False)
        self.register_buffer("tap_is_inside", (offset >= 0) & (offset <= 2 * HALF_TAPS), persistent=False)
        self.register_buffer("resample", _resampling(n_time), persistent=False)
        self.register_buffer("shots", torch.tensor(SHOT_COLUMNS), persistent=False)

    def forward(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """Map z'_s `(batch, latent_dim)` and normalised maps `(batch, 1, 70, 70)` to raw amplitude.

        Returns:
            Reflections `(batch, shot, time, receiver)`.
        """
        parts = []
        both = (torch.split(each.float(), TIMED_AT_ONCE) for each in (latent, velocity.detach()))
        # Waves cancel in the sum, which takes all digits that float32 has, whatever the precision of the trainer.
        with torch.autocast(latent.device.type, enabled=False):
            for some, maps in zip(*both, strict=True):
                with torch.no_grad():
                    medium = medium_of(maps)
                few = zip(*(torch.split(each, MAPS_AT_ONCE) for each in (some, *medium)), strict=True)
                parts += [self._reflections(first, Medium(*rest)) for first, *rest in few]
        return torch.cat(parts)

    def _reflections(self, latent: Tensor, medium: Medium) -> Tensor:
        with torch.no_grad():
            legs = legs_of(medium, self.least_reflection)
        collected = self._collect(legs, medium, latent)
        matrix = (self.wavelets[:, self.tap] * self.tap_is_inside).flatten(0, 1)  # (wavelet * bin, time of a block)
        blocks = collected.unfold(2, BLOCK_BINS + 2 * HALF_TAPS, BLOCK_BINS)[:, :, :N_BLOCKS].permute(1, 2, 0, 3)
        traces = (blocks.reshape(-1, len(matrix)) @ matrix).view(-1, N_BLOCKS * BLOCK_BINS)
        if self.resample.numel():
            traces = traces @ self.resample
        return traces.view(len(latent), len(SHOT_COLUMNS), N_RECEIVERS, -1).transpose(2, 3)

    def _collect(self, legs: Legs, medium: Medium, latent: Tensor) -> Tensor:
        """Add up the points' responses at their times, `(wavelet, batch * shot * receiver, bin)`."""
        shift = self.latent_shift(latent)[legs.sample][:, None]
        hidden = nn.functional.gelu(self.leg(legs.features) + shift)  # (point, column, ...)
        # The first outputs are of legs as a source's, and wanted at the sources only.
        sizes = [self.width, self.width + 2]
        weights, biases = (torch.split(each, sizes) for each in (self.leg_out.weight, self.leg_out.bias))
        of_source = nn.functional.linear(hidden[:, self.shots], weights[0], biases[0])
        out = nn.functional.linear(hidden, weights[1], biases[1])
        time = legs.time_s + TIME_CORRECTION_S * out[..., -1]
        amplitude = (1.0 + 0.3 * out[..., -2]) / (legs.time_s + 0.03).sqrt()
        of_receiver = out[..., : self.width]
        n_traces = len(latent) * len(SHOT_COLUMNS) * N_RECEIVERS
        collected = amplitude.new_zeros(N_WAVELETS, n_traces * N_BINS)
        of_legs = (of_source, of_receiver, time, amplitude, *legs)
        few = zip(*(torch.split(each, POINTS_AT_ONCE) for each in of_legs), strict=True)
        for sources, receivers, times, amplitudes, *its_legs in few:
            collected = _added(collected, *self._pairs(sources, receivers, times, amplitudes, Legs(*its_legs)))
        if self.most_reflections > 1:
            bounces = bounces_of(medium, legs, self.most_reflections - 1)
            for waves in zip(*(torch.split(each, WAVES_AT_ONCE) for each in bounces), strict=True):
                later = self._later_pairs(of_source, of_receiver, time, amplitude, legs, Bounces(*waves))
                collected = _added(collected, *later)
        return collected.view(N_WAVELETS, n_traces, N_BINS)

    def _pairs(
        self, of_source: Tensor, of_receiver: Tensor, time: Tensor, amplitude: Tensor, legs: Legs
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Responses to all pairs of a leg from a source and one to a receiver, of some points.

        Args:
            of_source: Of the legs from the sources, `(point, shot, width)`.
            of_receiver: Of the legs to the receivers, `(point, receiver, width)`.
            time: Of the legs, s, `(point, column)`.
            amplitude: The same.
            legs: The points' legs.

        Returns:
            Where a response arrives, as a place in the traces' bins, int64 `(pair,)`; responses `(wavelet, pair)`; the
            share that belongs to the bin that follows, `(pair,)`.
        """
        shots = self.shots
        both = torch.relu_(of_source[:, :, None] + of_receiver[:, None])
        with torch.no_grad():
            angles = (legs.sine, legs.cosine, legs.normal_cosine)
            arriving, leaving = [each[:, shots, None] for each in angles], [each[:, None] for each in angles]
            known = _reflected(arriving, leaving, legs.v_above[:, None, None], legs.v_below[:, None, None])
            known = (known * legs.weight[:, None, None]).flatten(1)
        known = known * (amplitude[:, shots, None] * amplitude[:, None]).flatten()
        trace = torch.arange(len(shots) * N_RECEIVERS, device=time.device).view(len(shots), N_RECEIVERS)
        trace = legs.sample[:, None, None] * trace.numel() + trace
        row, later = _bins(trace, time[:, shots, None] + time[:, None, :])
        return row, _responses(self.response, both, known), later

    def _later_pairs(
        self, of_source: Tensor, of_receiver: Tensor, time: Tensor, amplitude: Tensor, legs: Legs, bounces: Bounces
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Responses at their last reflection to waves that had others before; the rest as `_pairs`, for all points."""
        first, shot, last = bounces.first, bounces.shot, bounces.last
        both = (of_source[first, shot] + self.bounce(bounces.features))[:, None] + of_receiver[last]
        with torch.no_grad():
            leaving = [each[last] for each in (legs.sine, legs.cosine, legs.normal_cosine)]
            arriving = [each[:, None] for each in (bounces.sine, bounces.cosine, bounces.normal_cosine)]
            v_above, v_below = legs.v_above[last, None], legs.v_below[last, None]
            at_normal, real, imaginary = _reflected(arriving, leaving, v_above, v_below)
            before, turned = bounces.real[:, None], bounces.imaginary[:, None]
            product = (
                bounces.at_normal_incidence[:, None] * at_normal,
                before * real - turned * imaginary,
                before * imaginary + turned * real,
            )
            known = (torch.stack(product) * bounces.weight[:, None]).flatten(1)
            # From beside the point, to first order.
            beside = bounces.beside_x_m[:, None] * leaving[0] + bounces.beside_z_m[:, None] * leaving[1]
            way_s = bounces.time_s[:, None] + beside / v_above
        source = self.shots[shot]
        known = known * (amplitude[first, source, None] * amplitude[last]).flatten()
        trace = (legs.sample[first] * len(SHOT_COLUMNS) + shot)[:, None] * N_RECEIVERS
        trace = trace + torch.arange(N_RECEIVERS, device=time.device)
        row, later = _bins(trace, time[first, source, None] + way_s + time[last])
        return row, _responses(self.later_response, torch.relu_(both), known), later


def _reflected(arriving: Sequence[Tensor], leaving: Sequence[Tensor], v_above: Tensor, v_below: Tensor) -> Tensor:
    """Obliquity times R_0, Re R and Im R, `(3, ...)`.

    Args:
        arriving: Sine, cosine and normal cosine of the way to the point.
        leaving: The same of the leg from the surface, against which the wave leaves.
        v_above: Speed on the waves' side.
        v_below: Speed on the other.
    """
    cosine_between = arriving[0] * leaving[0] + arriving[1] * leaving[1]
    incidence = (0.5 * (1.0 + cosine_between)).clamp(1e-6, 1.0).sqrt()
    oblique = 0.5 * (arriving[2] + leaving[2]).clamp(min=0.0)
    real, imaginary = reflection_coefficient(incidence, v_above, v_below)
    normal_incidence = ((v_below - v_above) / (v_below + v_above)).expand_as(real)
    return torch.stack((normal_incidence, real, imaginary)) * oblique


def _responses(response: nn.Linear, both: Tensor, known: Tensor) -> Tensor:
    """Sum of what is known times the coefficients A_k, B_k and C_k, `(wavelet, pair)`.

    Args:
        response: From what is hidden to the coefficients.
        both: Hidden, `(..., width)`.
        known: `(3, pair)`.
    """
    learned = response.weight @ both.view(-1, both.shape[-1]).T  # (A_k, B_k and C_k, pair)
    responses = response.bias.view(3, N_WAVELETS).T @ known
    for one, of_one in zip(known, torch.split(learned, N_WAVELETS), strict=True):
        responses = torch.addcmul(responses, one, of_one)
    return responses


def _bins(trace: Tensor, time_s: Tensor) -> tuple[Tensor, Tensor]:
    """Place in the traces' bins and the share of the bin that follows, both flat; arguments are of one shape."""
    bins = time_s / BIN_S + (WAVELET_DELAY_S / BIN_S + HALF_TAPS)
    bins = bins.clamp(0.0, N_BINS - 1.5)  # what comes too late goes where nobody reads
    below = bins.detach().floor()
    return (trace * N_BINS + below.long()).flatten(), (bins - below).flatten()


def _added(collected: Tensor, row: Tensor, responses: Tensor, later: Tensor) -> Tensor:
    """Responses `(wavelet, pair)` added, each to its bin and the one that follows."""
    at_later = responses * later
    row = row.expand(N_WAVELETS, -1)
    return collected.scatter_add_(1, row, responses - at_later).scatter_add_(1, row + 1, at_later)


def _starting_wavelets() -> Tensor:
    """Start from the source's wavelet, half-differentiated as a sum over a line needs, and its Hilbert transform."""
    time = BIN_S * torch.arange(-HALF_TAPS, HALF_TAPS + 1)
    squared = (math.pi * PEAK_FREQUENCY_HZ * time).square()
    ricker = (1.0 - 2.0 * squared) * torch.exp(-squared)
    n = 256
    spectrum = torch.fft.rfft(ricker, n)
    half_derivative = torch.sqrt(2j * math.pi * torch.fft.rfftfreq(n, BIN_S) / (2.0 * PEAK_FREQUENCY_HZ))
    wavelets = 0.02 * torch.randn(N_WAVELETS, len(ricker))
    wavelets[0] += torch.fft.irfft(spectrum * half_derivative, n)[: len(ricker)]
    wavelets[1] += torch.fft.irfft(1j * spectrum * half_derivative, n)[: len(ricker)]
    wavelets[2] += ricker
    return 0.06 * wavelets  # at which the sum is about as loud as the reflections


def _resampling(n_time: int) -> Tensor:
    """Matrix from bins to a gather's times, `(bin, n_time)`, a windowed sinc; empty where both are the same."""
    stride_ms = -(-TIME_STEPS_MS // n_time)  # the data keep every so-many-th millisecond
    if n_time == N_BLOCKS * BLOCK_BINS and stride_ms == 1000 * BIN_S:
        return torch.zeros(0, 0)
    wanted = torch.arange(n_time, dtype=torch.float64) * stride_ms / (1000.0 * BIN_S)
    distance = wanted - torch.arange(N_BLOCKS * BLOCK_BINS, dtype=torch.float64)[:, None]
    reach = 8.0
    window = torch.where(distance.abs() < reach, torch.cos(0.5 * math.pi * distance / reach).square(), 0.0)
    return (torch.sinc(distance) * window).float()
