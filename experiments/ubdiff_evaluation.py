"""UB-Diff's stage `evaluate`: what is measured, drawn and said about a run."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks import figures
from callbacks.frechet_evaluation import FrechetEvaluation
from callbacks.held_out_reconstruction import HeldOutReconstruction
from callbacks.physics_consistency import PhysicsConsistency
from callbacks.sample_writer import SampleWriter
from experiments.run_folder import RunFolder

N_PHYSICS_PAIRS = 32
TIME_STEP_S = 1e-3


class EvaluationFigures(Callback):
    """Draw what the other callbacks of the stage hold; must come after them.

    Args:
        folder: The run folder.
        held_out: Holds the reconstructions.
        physics: Holds the generated pairs and their simulation.
        time_step_s: Sampling of the gathers.
    """

    def __init__(
        self, folder: RunFolder, held_out: HeldOutReconstruction, physics: PhysicsConsistency, time_step_s: float
    ) -> None:
        self.folder, self.held_out, self.physics, self.time_step_s = folder, held_out, physics, time_step_s

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reconstructions."""
        h = self.held_out
        n = 4
        figure = figures.reconstructions(
            h.velocity[:n], h.velocity_back[:n], h.seismic[:n], h.seismic_back[:n], self.time_step_s
        )
        figures.save(figure, self.folder.figures / "reconstructions.png", self._provenance(trainer))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Generated pairs, and their gathers against the exact ones."""
        p = self.physics
        pairs = figures.generated_pairs(p.velocity[:6], p.seismic[:6], self.time_step_s)
        figures.save(pairs, self.folder.figures / "generated_pairs.png", self._provenance(trainer))
        traces = figures.physics_traces(p.velocity[:3], p.seismic[:3], p.simulated[:3], self.time_step_s)
        figures.save(traces, self.folder.figures / "generated_against_exact.png", self._provenance(trainer))

    def _provenance(self, trainer: Trainer) -> str:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        kinds = {
            "real": "real maps and gathers",
            "simulated": "real maps, gathers simulated from them",
            "synthetic": "synthetic maps, gathers simulated from them",
        }
        return f"{data.family.name}: {kinds[data.source.kind]}; run {self.folder.root.name}"


def evaluation_callbacks(folder: RunFolder, settings: Mapping[str, Any]) -> list[Callback]:
    """The stage's callbacks, in the order in which they work.

    Args:
        folder: The run folder.
        settings: The stage's resolved settings.
    """
    stride = int(settings["data"]["time_stride"])
    held_out, physics = HeldOutReconstruction(stride), PhysicsConsistency(N_PHYSICS_PAIRS, stride)
    writer = SampleWriter(str(folder.samples), stride * TIME_STEP_S, int(settings["model"]["sampling_seed"]))
    # The writer times the sampling: what else looks at the samples comes after it.
    return [
        held_out,
        writer,
        physics,
        FrechetEvaluation(),
        EvaluationFigures(folder, held_out, physics, stride * TIME_STEP_S),
    ]
