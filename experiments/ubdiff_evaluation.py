"""What is measured, drawn and said about a run of UB-Diff, stage by stage."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks import figures, frechet_figures, inversion_figures, latent_figures
from callbacks.frechet_evaluation import FrechetEvaluation
from callbacks.held_out_reconstruction import HeldOutReconstruction
from callbacks.inversion_evaluation import InversionEvaluation
from callbacks.latent_alignment import LatentAlignment
from callbacks.physics_consistency import PhysicsConsistency
from callbacks.reconstruction_frechet import ReconstructionFrechet
from callbacks.sample_writer import SampleWriter
from experiments.run_folder import RunFolder
from experiments.ubdiff_stages import TRAINING_SETS

N_PHYSICS_PAIRS = 32
TIME_STEP_S = 1e-3


class EvaluationFigures(Callback):
    """Draw what the other callbacks of the stage hold; must come after them.

    Args:
        folder: The run folder.
        time_step_s: Sampling of the gathers.
        held_out: Holds the reconstructions.
        physics: Holds the generated pairs and their simulation.
        frechet: Holds the distances.
        inversion: Holds the inverted maps.
        alignment: Holds the embedded latents.
    """

    def __init__(
        self,
        folder: RunFolder,
        time_step_s: float,
        held_out: HeldOutReconstruction,
        physics: PhysicsConsistency,
        frechet: FrechetEvaluation,
        inversion: InversionEvaluation,
        alignment: LatentAlignment,
    ) -> None:
        self.folder, self.time_step_s = folder, time_step_s
        self.held_out, self.physics, self.frechet = held_out, physics, frechet
        self.inversion, self.alignment = inversion, alignment

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reconstructions, inversion and latents."""
        h, n = self.held_out, 4
        reconstructions = figures.reconstructions(
            h.velocity[:n], h.velocity_back[:n], h.seismic[:n], h.seismic_back[:n], self.time_step_s
        )
        self._save(reconstructions, "reconstructions.png", trainer)
        i = self.inversion
        self._save(inversion_figures.inverted_maps(i.truth, i.inverted), "inversion.png", trainer)
        n_pairs, control = int(i.metrics["inversion/n_field_pairs"]), i.metrics["inversion/mean_map/mae"]
        field = inversion_figures.field_robustness(i.field_mae, n_pairs, control)
        self._save(field, "field_robustness.png", trainer)
        if len(self.alignment.embedding):
            a = self.alignment
            drawn = latent_figures.latents(a.embedding, a.metrics, a.features.get("latent/gather", ""))
            self._save(drawn, "latents.png", trainer)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Generated pairs, their gathers against the exact ones, and their distances."""
        p = self.physics
        pairs = figures.generated_pairs(p.velocity[:6], p.seismic[:6], self.time_step_s)
        self._save(pairs, "generated_pairs.png", trainer)
        consistency = figures.physics_traces(
            p.velocity[:3], p.seismic[:3], p.simulated[:3], self.time_step_s, reflections=p.reflections[:3]
        )
        self._save(consistency, "physics_consistency.png", trainer)
        distances = frechet_figures.frechet_ratios(self.frechet.metrics, self.frechet.features)
        self._save(distances, "frechet.png", trainer)

    def _save(self, figure: Any, name: str, trainer: Trainer) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        kinds = {
            "real": "real maps and gathers",
            "simulated": "real maps, gathers simulated from them",
            "synthetic": "synthetic maps, gathers simulated from them",
        }
        provenance = f"{data.family.name}: {kinds[data.source.kind]}; run {self.folder.root.name}"
        figures.save(figure, self.folder.figures / name, provenance)


def autoencoder_callbacks(folder: RunFolder, settings: Mapping[str, Any]) -> list[Callback]:
    """What is said of the autoencoder before there is a seismic decoder; arguments as `evaluation_callbacks`."""
    return [ReconstructionFrechet()]


def generation_callbacks(folder: RunFolder, settings: Mapping[str, Any]) -> list[Callback]:
    """The one that writes the generated pairs; arguments as `evaluation_callbacks`."""
    step_s = int(settings["data"]["time_stride"]) * TIME_STEP_S
    return [SampleWriter(str(folder.samples), step_s, int(settings["model"]["sampling_seed"]))]


def evaluation_callbacks(folder: RunFolder, settings: Mapping[str, Any]) -> list[Callback]:
    """The callbacks of stage `evaluate`, in the order in which they work.

    Args:
        folder: The run folder.
        settings: The stage's resolved settings.
    """
    stride = int(settings["data"]["time_stride"])
    held_out, physics = HeldOutReconstruction(stride), PhysicsConsistency(N_PHYSICS_PAIRS, stride)
    frechet = FrechetEvaluation(
        family_encoder=True, use_efficientnet=True, cache_root=str(settings["data"]["cache_root"])
    )
    networks = {trained_on: folder.final_weights(f"inversion_{trained_on}") for trained_on in TRAINING_SETS}
    inversion, alignment = InversionEvaluation(networks), LatentAlignment()
    drawing = EvaluationFigures(folder, stride * TIME_STEP_S, held_out, physics, frechet, inversion, alignment)
    return [held_out, physics, frechet, inversion, alignment, drawing]
