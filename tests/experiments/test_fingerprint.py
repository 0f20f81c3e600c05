import torch

from experiments import fingerprint
from experiments.fingerprint import differences, effective, source_digests, weights_digest


def test_what_only_says_where_things_lie_has_no_effect():
    settings = {
        "data": {"data_root": "a", "n_pairs": 3},
        "model": {"initial_weights": "x"},
        "trainer": {"max_epochs": 2},
    }
    assert effective(settings) == {"data.n_pairs": 3, "trainer.max_epochs": 2}


def test_weights_digest_sees_values_names_and_shapes():
    weights = {"a": torch.arange(6.0), "b": torch.tensor(1)}
    digest = weights_digest(weights)
    assert digest == weights_digest(dict(reversed(weights.items())))
    assert digest != weights_digest({**weights, "a": torch.arange(6.0).reshape(2, 3)})
    assert digest != weights_digest({"c": weights["a"], "b": weights["b"]})
    changed = weights["a"].clone()
    changed[3] = torch.nextafter(changed[3], torch.tensor(9.0))
    assert digest != weights_digest({**weights, "a": changed})


def _digest_of(tmp_path, monkeypatch, source):
    path = tmp_path / "module.py"
    path.write_text(source)
    monkeypatch.setattr(fingerprint, "_path_of", lambda name: path if name == "experiments.x" else None)
    fingerprint._read_source.cache_clear()
    return source_digests(["experiments.x"])["experiments.x"]


def test_comments_docstrings_and_layout_do_not_count_but_code_does(tmp_path, monkeypatch):
    plain = _digest_of(tmp_path, monkeypatch, "def f(x):\n    return x + 1\n")
    dressed = '"""Doc."""\n# why\ndef f( x ):\n    """Doc."""\n    return (x\n            + 1)\n'
    assert _digest_of(tmp_path, monkeypatch, dressed) == plain
    assert _digest_of(tmp_path, monkeypatch, "def f(x):\n    return x + 2\n") != plain


def test_sources_follow_imports_within_the_suite():
    digests = source_digests(["lightning_modules.ubdiff.module"])
    assert "lightning_modules.ubdiff.diffusion" in digests
    assert not any(name.startswith(("torch", "datamodules", "callbacks")) for name in digests)


def test_differences_say_what_changed():
    before = {"setting": {"a": 1, "b": 2}, "input": {"x": "1"}, "source": {"m": "1"}, "weights": {}, "version": {}}
    now = {
        "setting": {"a": 1, "b": 3},
        "input": {"y": "1"},
        "source": {"m": "2"},
        "weights": {},
        "version": {"torch": "3"},
    }
    assert differences(before, before) == []
    assert differences(before, now) == [
        "setting b: 2 -> 3",
        "input x is gone",
        "input y is new",
        "source m changed",
        "version torch: None -> '3'",
    ]
