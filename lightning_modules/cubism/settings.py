"""Which settings of the module can be, and which of them fix what its weights mean."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_modules.errors import ModuleError

# A checkpoint that differs in one of these does not fit.
ARCHITECTURE = (
    "image_size", "n_classes", "generator", "adversary", "representation", "batch_statistics", "backbone_width",
    "backbone_channels", "head_units", "flow_layers", "flow_units", "shared_sigma", "vae_dim", "vae_width",
)  # fmt: skip
_AT_LEAST_ONE = (
    "image_size", "backbone_width", "head_units", "flow_layers", "flow_units", "vae_dim", "vae_width",
)  # fmt: skip
_POSITIVE = ("learning_rate", "mixup_alpha", "mixup_beta", "iota", "pseudo_label_temperature")
_NOT_NEGATIVE = (
    "rho_max", "gamma_max", "eta_max", "delta_max", "sigma_m", "sigma_a", "pretrain_epochs", "likelihood_weight",
    "weight_decay", "dequantisation",
)  # fmt: skip
_SHARES = ("xi", "tau", "dropout", "beta1", "conditional_warmup")
CHOICES = {
    "generator": ("flow", "vae", "none"),
    "balance": ("co_balanced", "source", "none"),
    "mixup": ("none", "latent", "input", "input_and_latent"),
    "representation": ("latent", "image", "shared"),
    "batch_statistics": ("joint", "per_volcano"),
    "noisy_target": ("mixup", "mixup_and_discriminator"),
    "mixup_per": ("batch", "sample"),
    "mixup_anchors": ("gaussians", "events"),
    "ratio": ("averaged", "batch_first_epoch"),
    "ratio_labels": ("hard", "soft"),
    "pseudo_labels": ("gaussians", "classifier"),
    "confidence": ("classifier", "gaussians"),
    "schedule": ("ganin", "cosine", "constant"),
    "backbone_channels": (1, 3),
    "validator": ("soft_neighbourhood_density", "infomax", "entropy", "importance_weighted"),
}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings from which no module can be built.

    Raises:
        ModuleError: With the name of the setting, what was found and what is possible.
    """
    for name, possible in CHOICES.items():
        if settings[name] not in possible:
            raise ModuleError(f"{name}: got {settings[name]!r}; give one of {', '.join(map(str, possible))}.")
    for name in _AT_LEAST_ONE:
        if settings[name] < 1:
            raise ModuleError(f"{name}: got {settings[name]}; give a whole number of at least 1.")
    if settings["n_classes"] < 2:
        raise ModuleError(f"n_classes: got {settings['n_classes']}; give at least 2.")
    for name in _POSITIVE:
        if not settings[name] > 0.0 or math.isinf(settings[name]):
            raise ModuleError(f"{name}: got {settings[name]}; give a number above 0.")
    for name in _NOT_NEGATIVE:
        if not settings[name] >= 0.0 or math.isinf(settings[name]):
            raise ModuleError(f"{name}: got {settings[name]}; give a number of at least 0.")
    for name in _SHARES:
        if not 0.0 <= settings[name] < 1.0:
            raise ModuleError(f"{name}: got {settings[name]}; give a number of at least 0 and below 1.")
    cap = settings["conditional_class_cap"]
    least = 1.0 / settings["n_classes"]
    if cap is not None and not least <= cap <= 1.0:
        raise ModuleError(f"conditional_class_cap: got {cap}; give a share from {least:.3g} to 1, or null for no cap.")
    if settings["pretrained_sha256"] is not None and settings["pretrained"] is None:
        raise ModuleError(
            "pretrained_sha256: there is no file to check; give its path as pretrained, or leave this out."
        )
    if settings["pretrained"] is not None and not Path(settings["pretrained"]).is_file():
        raise ModuleError(
            f"pretrained: there is no file {settings['pretrained']}; give the path of torchvision's ResNet-18 weights, "
            f"or leave it out to train from scratch."
        )
    _check_parts(settings)


def _check_parts(settings: Mapping[str, Any]) -> None:
    generator, mixup = settings["generator"], settings["mixup"]
    if mixup in ("latent", "input_and_latent") and generator == "none":
        raise ModuleError(
            f"mixup: got '{mixup}' without a generator; set generator to 'flow' or 'vae', or mixup to 'input'."
        )
    for name, value in (("representation", "latent"), ("conditional", True)):
        if settings[name] == value and generator != "flow":
            raise ModuleError(f"{name}: got {value!r} with generator '{generator}'; it needs generator 'flow'.")
    if settings["noisy_target"] == "mixup_and_discriminator" and generator != "flow" and settings["adversary"]:
        raise ModuleError(
            f"noisy_target: got 'mixup_and_discriminator' with generator '{generator}'; only a flow's noisy latents "
            f"can be read; set noisy_target to 'mixup'."
        )
    if settings["image_size"] % 16 and generator == "vae":
        raise ModuleError(f"image_size: got {settings['image_size']}; generator 'vae' needs a multiple of 16.")
