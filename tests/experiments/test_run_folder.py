import os

import pytest
import torch

from experiments.checkpoints import AtomicCheckpointIO, read_checkpoint
from experiments.errors import SettingsError
from experiments.run_folder import RunFolder, read_json, write_json, write_text


def test_a_failed_write_leaves_the_old_text_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "half")
    with pytest.raises(OSError, match="No space"):
        AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(3)}, tmp_path / "last.ckpt")
    assert read_json(path) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_damaged_record_or_checkpoint_is_named(tmp_path):
    (tmp_path / "stage.json").write_text("{")
    with pytest.raises(SettingsError, match=r"stage\.json.*delete it"):
        read_json(tmp_path / "stage.json")
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.arange(1000.0)}, path)
    assert torch.equal(read_checkpoint(path)["a"], torch.arange(1000.0))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(SettingsError, match=r"last\.ckpt: the checkpoint is damaged"):
        read_checkpoint(path)
    with pytest.raises(SettingsError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "absent.ckpt")


def test_two_processes_cannot_use_one_run_folder(tmp_path):
    one, two = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    one.create()
    with pytest.raises(SettingsError, match="another process is at work"):
        two.create()
    one.release()
    two.create()
    two.release()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(SettingsError, match="cannot be written to"):
        RunFolder(tmp_path / "runs" / "x").create()


def test_a_cleared_stage_is_put_aside_not_deleted(tmp_path):
    folder = RunFolder(tmp_path)
    for text in ("first", "second"):
        folder.clear_stage("paired")
        (folder.stage("paired") / "final.ckpt").write_text(text)
    folder.clear_stage("paired")
    assert (tmp_path / "paired.previous" / "final.ckpt").read_text() == "second"
    assert list(folder.stage("paired").iterdir()) == []


def test_a_stage_killed_before_its_first_checkpoint_does_not_replace_what_was_put_aside(tmp_path):
    folder = RunFolder(tmp_path)
    folder.clear_stage("paired")
    folder.final_weights("paired").write_text("good")
    folder.clear_stage("paired")
    write_json(folder.stage_record("paired"), {"finished": False})
    (folder.stage("paired") / ".last.ckpt.partial").write_text("ha")
    folder.clear_stage("paired")
    assert (tmp_path / "paired.previous" / "final.ckpt").read_text() == "good"
    assert not list(folder.stage("paired").iterdir())
    folder.last_checkpoint("paired").write_text("epoch 3")
    (folder.stage("paired") / ".last.ckpt.partial").write_text("epo")
    folder.clear_stage("paired")
    assert [path.name for path in (tmp_path / "paired.previous").iterdir()] == ["last.ckpt"]
    assert not list(tmp_path.rglob("*.partial"))
