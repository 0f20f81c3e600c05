"""What a stage leaves behind, and how another run takes it over in place of training it again.

The final weights of a stage are those it started from and those it trained, and nothing that was never trained. So a
stage that two runs have in common, such as the autoencoder of two runs that differ in their seismic decoder, is the
same in both, and the second run adopts it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from experiments.checkpoints import AtomicCheckpointIO, read_checkpoint
from experiments.errors import SettingsError
from experiments.experiment import Stage
from experiments.fingerprint import differences, weights_digest
from experiments.run_folder import RunFolder, read_json, write_bytes, write_json


def keep_trained_weights(path: Path, stage: Stage, started_from: Path | None) -> str:
    """Leave weights that no stage has trained out of a final checkpoint.

    Args:
        path: The checkpoint that the stage has just written.
        stage: The stage.
        started_from: The final weights of the stage before, if any.

    Returns:
        Digest of what is left.
    """
    checkpoint = read_checkpoint(path)
    before = read_checkpoint(started_from)["state_dict"] if started_from else {}
    checkpoint["state_dict"] = {
        name: tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith(stage.trains) or name in before
    }
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    return weights_digest(checkpoint["state_dict"])


def is_behind(folder: RunFolder, stage: Stage, started_from: Path | None) -> bool:
    """Whether the weights that a finished stage passes on are not those that it would start from now.

    It need not be trained again when only weights changed that its own training does not depend on, but the ones after
    it must get the new ones.
    """
    if started_from is None:
        return False
    passed_on = read_checkpoint(folder.final_weights(stage.name))["state_dict"]
    before = read_checkpoint(started_from)["state_dict"]
    return any(
        name not in passed_on or not torch.equal(passed_on[name], tensor)
        for name, tensor in before.items()
        if not name.startswith(stage.trains)
    )


def finished_elsewhere(folder: RunFolder, stage: Stage, fingerprint: Mapping[str, Any]) -> Path | None:
    """A run folder beside this one that has finished a stage with this fingerprint, the first by name.

    Only stages that fit are looked for: what the others make is quickly made again.
    """
    if not stage.fits:
        return None
    for record_path in sorted(folder.root.parent.glob(f"*/{stage.name}/stage.json")):
        other = RunFolder(record_path.parents[1])
        if other.root == folder.root:
            continue
        try:
            record = read_json(record_path)
        except (OSError, SettingsError):
            continue
        whole = record is not None and record.get("finished") and other.final_weights(stage.name).exists()
        if whole and record is not None and not differences(record["fingerprint"], fingerprint):
            return other.root
    return None


def adopt(
    folder: RunFolder, stage: Stage, source: Path, started_from: Path | None, settings: Mapping[str, Any]
) -> None:
    """Take a finished stage over from another run, or from this one, on other weights than it was trained on.

    Args:
        folder: This run.
        stage: The stage.
        source: The other run's folder, or this one's.
        started_from: The weights that the stage starts from in this run, if any.
        settings: The stage's resolved settings in this run, computed ones included.
    """
    other = RunFolder(source)
    record = read_json(other.stage_record(stage.name)) or {}
    checkpoint = read_checkpoint(other.final_weights(stage.name))
    before = read_checkpoint(started_from)["state_dict"] if started_from else {}
    trained = {name: w for name, w in checkpoint["state_dict"].items() if name.startswith(stage.trains)}
    # The networks of other stages may differ between the two runs: they come from this one.
    checkpoint["state_dict"] = {**before, **trained}
    checkpoint["hyper_parameters"] = {**checkpoint["hyper_parameters"], **settings["model"]}
    AtomicCheckpointIO().save_checkpoint(checkpoint, folder.final_weights(stage.name))
    history = other.stage(stage.name) / "history.jsonl"
    if history.exists() and other.root != folder.root:
        write_bytes(folder.stage(stage.name) / history.name, history.read_bytes())
    record["weights_sha256"] = weights_digest(checkpoint["state_dict"])
    if other.root != folder.root:
        record["adopted_from"] = source.name
    write_json(folder.stage_record(stage.name), record)
