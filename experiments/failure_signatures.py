"""The four signs of a failing UB-Diff that the paper's summary lists, looked for in a run's figures.

The paper gives signs and advice in words ("high FID for one modality but not the other"); the thresholds are ours, and
stand here with their reasons.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

State = Literal["passed", "raised", "unknown"]

LOPSIDED = 2.0
"""One modality's Frechet ratio over the other's. Training samples in the generated ones' place score .8 to 1.8."""
POOR_RATIO = 1.5
"""A Frechet ratio below this is within what training samples score by chance, and not high, whatever the other's is."""
MISSING_REFLECTIONS = math.sqrt(0.5)
"""Residual relative L2 of the generated pairs: above it, less than half of the reflections' energy is right."""
CLEARLY_BETTER = 1.1
"""Factor between two runs' or two training sets' figures: smaller differences come and go with the seed."""
FAMILY_SPACE, PLAIN_SPACE = "family_encoder/", ""

REFERENCE = "run the same settings with `--variant without_two_step` and give its metrics as the reference"


class Signature(NamedTuple):
    """One sign of failure.

    Attributes:
        name: What is looked for.
        state: `passed`, `raised`, or `unknown` where figures are missing.
        evidence: The figures that decided, or which are missing.
        advice: What to do about it.
    """

    name: str
    state: State
    evidence: str
    advice: str


def failure_signatures(metrics: Mapping[str, float], reference: Mapping[str, float] | None = None) -> list[Signature]:
    """State each of the four signatures.

    Args:
        metrics: Of the run (`metrics.json`).
        reference: Of the same settings trained jointly on the n pairs alone (the paper's "w/o opt").
    """
    return [
        _one_modality_alone(metrics),
        _missing_reflections(metrics),
        _two_steps_hurt(metrics, reference),
        _useless_for_inversion(metrics),
    ]


def _one_modality_alone(metrics: Mapping[str, float]) -> Signature:
    name = "High Frechet distance in one modality but not in the other"
    advice = (
        "The co-latent does not serve both modalities: check the encoder's training (step 1), and the decoder of the "
        "worse one."
    )
    space = next(
        (space for space in (FAMILY_SPACE, PLAIN_SPACE) if _has(metrics, *_ratio_names(space))),
        None,
    )
    if space is None:
        return _unknown(name, _ratio_names(PLAIN_SPACE), advice)
    velocity, seismic = (metrics[each] for each in _ratio_names(space))
    high, low = max(velocity, seismic), min(velocity, seismic)
    raised = high > POOR_RATIO and high > LOPSIDED * low
    judge = "family encoder" if space else "principal components"
    evidence = (
        f"Frechet ratio to the floor {velocity:.2f} (velocity) and {seismic:.2f} (seismic), {judge}; raised where the "
        f"higher is above {POOR_RATIO} and above {LOPSIDED:g} times the lower"
    )
    return Signature(name, _state(raised), evidence, advice)


def _missing_reflections(metrics: Mapping[str, float]) -> Signature:
    name = "Generated seismic lacks reflected waves"
    key, held_out_key = "physics/residual_relative_l2", "seismic/residual_relative_l2"
    if not _has(metrics, key):
        return _unknown(name, (key,), "Forward-model generated maps (the stage `evaluate` does).")
    evidence = (
        f"residual relative L2 of generated pairs {metrics[key]:.2f}; 1 is the direct wave alone, raised above "
        f"{MISSING_REFLECTIONS:.2f}, where less than half of the reflections' energy is right"
    )
    advice = "The seismic decoder or the diffusion's training is insufficient."
    if _has(metrics, held_out_key):
        evidence += f"; from true held-out maps {metrics[held_out_key]:.2f}"
        if metrics[held_out_key] > MISSING_REFLECTIONS:
            advice = "The seismic decoder fails on true maps too: train it longer, on more pairs, or another one."
        else:
            advice = "The seismic decoder manages true maps: the generated latents are off; train the diffusion longer."
    return Signature(name, _state(metrics[key] > MISSING_REFLECTIONS), evidence, advice)


def _two_steps_hurt(metrics: Mapping[str, float], reference: Mapping[str, float] | None) -> Signature:
    name = "Joint training on the pairs alone (w/o opt) outperforms the two steps"
    advice = "Two-step training hurts: do not freeze in step 2 (`--paired.model.freeze none`), or shorten step 1."
    if reference is None:
        return Signature(name, "unknown", f"needs another run: {REFERENCE}", advice)
    compared, better = [], []
    for space in (FAMILY_SPACE, PLAIN_SPACE):
        for key in _ratio_names(space):
            if _has(metrics, key) and _has(reference, key):
                compared.append(f"{key} {metrics[key]:.2f} against {reference[key]:.2f}")
                if metrics[key] > CLEARLY_BETTER * reference[key]:
                    better.append(key)
        if compared:
            break
    if not compared:
        return _unknown(name, _ratio_names(PLAIN_SPACE), advice)
    evidence = f"two steps against w/o opt: {', '.join(compared)}; raised where w/o opt is better by more than 10 %"
    return Signature(name, _state(bool(better)), evidence, advice)


def _useless_for_inversion(metrics: Mapping[str, float]) -> Signature:
    name = "An inversion network trained on generated pairs performs poorly"
    generated, real, exact = (
        f"inversion/{trained_on}/mae" for trained_on in ("generated", "real", "generated_maps_exact_simulator")
    )
    advice = (
        "The pairs are physically inconsistent: look at physics/residual_relative_l2 and the forward-modelled gathers."
    )
    if not _has(metrics, generated, real):
        return _unknown(name, (generated, real), advice)
    evidence = (
        f"normalised MAE on held-out real maps {metrics[generated]:.4f}, trained on as many real pairs as the "
        f"generator had {metrics[real]:.4f}; raised where it is worse by more than 10 %"
    )
    if _has(metrics, exact):
        evidence += f"; on generated maps with exactly simulated gathers {metrics[exact]:.4f}"
        if metrics[exact] > CLEARLY_BETTER * metrics[real]:
            advice = (
                "Even exact gathers of the generated maps do not help: the maps themselves fall short; look at the "
                "velocity side."
            )
    return Signature(name, _state(metrics[generated] > CLEARLY_BETTER * metrics[real]), evidence, advice)


def _ratio_names(space: str) -> tuple[str, str]:
    return f"velocity/{space}frechet_ratio", f"seismic/{space}frechet_ratio"


def _has(metrics: Mapping[str, float], *names: str) -> bool:
    return all(math.isfinite(metrics.get(name, math.nan)) for name in names)


def _unknown(name: str, wanted: tuple[str, ...], advice: str) -> Signature:
    return Signature(name, "unknown", f"needs the figures {' and '.join(wanted)}, which this run has not", advice)


def _state(raised: bool) -> State:
    return "raised" if raised else "passed"
