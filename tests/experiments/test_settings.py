from pathlib import Path

import pytest
import yaml

from experiments.errors import SettingsError
from experiments.settings import (
    COMMAND_LINE,
    CONFIG_ROOT,
    StageBlocks,
    flattened,
    last_value,
    merge,
    nested,
    parse_options,
    presets,
    read_preset,
    read_yaml,
    resolve,
)

STAGES = [StageBlocks("autoencoder"), StageBlocks("paired")]


def test_a_later_layer_wins_as_a_whole_even_by_its_shared_block():
    preset = {"shared": {"model": {"latent_dim": 128, "width": 8}}, "paired": {"model": {"latent_dim": 32}}}
    options = {"shared": {"model": {"latent_dim": 64}}}
    settings = resolve(STAGES, [("preset", preset), ("options", options)])
    assert settings["autoencoder"]["model"] == {"latent_dim": 64, "width": 8}
    assert settings["paired"]["model"] == {"latent_dim": 64, "width": 8}


def test_within_a_layer_the_stage_wins_over_shared():
    layer = {"shared": {"data": {"batch_size": 8}}, "paired": {"data": {"batch_size": 4}}}
    settings = resolve(STAGES, [("file", layer)])
    assert settings["autoencoder"]["data"]["batch_size"] == 8
    assert settings["paired"]["data"]["batch_size"] == 4


def narrow(*known: str):
    return lambda name: name in known


def test_a_shared_setting_goes_to_the_stages_that_have_it():
    stages = [StageBlocks("paired", accepts=narrow("model.width")), StageBlocks("inversion", accepts=narrow("data.n"))]
    settings = resolve(stages, [("file", {"shared": {"model": {"width": 8}, "data": {"n": 3}}})])
    assert settings == {"paired": {"model": {"width": 8}}, "inversion": {"data": {"n": 3}}}


def test_a_shared_setting_that_no_stage_has_goes_to_all_so_that_it_is_refused():
    stages = [StageBlocks(name, accepts=narrow("model.width")) for name in ("a", "b")]
    settings = resolve(stages, [("file", {"shared": {"model": {"wdith": 8}}})])
    assert settings == {"a": {"model": {"wdith": 8}}, "b": {"model": {"wdith": 8}}}


def test_a_group_s_block_stands_between_shared_and_the_stage_s_own():
    stages = [StageBlocks("a", group="g"), StageBlocks("b", group="g"), StageBlocks("c")]
    layer = {"shared": {"x": {"y": 1}}, "g": {"x": {"y": 2}}, "b": {"x": {"y": 3}}}
    settings = resolve(stages, [("file", layer)])
    assert [settings[name]["x"]["y"] for name in "abc"] == [2, 3, 1]


def test_a_variant_s_block_stands_on_top_of_its_layer_and_not_of_later_ones():
    preset = {"paired": {"x": {"y": 1}}, "variants": {"joint": {"paired": {"x": {"y": 2}}}}}
    assert resolve(STAGES, [("preset", preset)])["paired"]["x"]["y"] == 1
    assert resolve(STAGES, [("preset", preset)], variant="joint")["paired"]["x"]["y"] == 2
    later = [("preset", preset), ("file", {"paired": {"x": {"y": 3}}})]
    assert resolve(STAGES, later, variant="joint")["paired"]["x"]["y"] == 3


def test_a_subject_s_block_holds_for_that_subject_alone():
    preset = {"shared": {"x": {"y": 1}}, "subjects": {"FlatFault-A": {"shared": {"x": {"y": 2}}}}}
    options = {"shared": {"data": {"dataset": "FlatFault-A"}}}
    layers = [("preset", preset), ("options", options)]
    assert last_value("data.dataset", layers) == "FlatFault-A"
    assert last_value("data.dataset", layers[:1]) is None
    assert resolve(STAGES, layers, subject="FlatFault-A")["paired"]["x"]["y"] == 2
    assert resolve(STAGES, layers, subject="FlatVel-A")["paired"]["x"]["y"] == 1


def test_a_subject_s_variant_stands_on_top_of_the_variant_and_of_the_subject():
    def paired(value: int) -> dict:
        return {"paired": {"x": {"y": value}}}

    both = {"subjects": {"FlatFault-A": {**paired(2), "variants": {"joint": paired(4)}}}}
    layers = [("preset", {**paired(1), **both, "variants": {"joint": paired(3), "unpaired": paired(5)}})]
    found = {
        (subject, variant): resolve(STAGES, layers, subject=subject, variant=variant)["paired"]["x"]["y"]
        for subject in ("FlatVel-A", "FlatFault-A")
        for variant in ("", "joint", "unpaired")
    }
    assert list(found.values()) == [1, 3, 5, 2, 4, 5]


def test_blocks_of_another_variant_are_passed_over_but_not_on_the_command_line():
    layer = {"generate": {"x": {"y": 1}}}
    assert resolve(STAGES, [("preset tiny", layer)], other_blocks=["generate"]) == {"autoencoder": {}, "paired": {}}
    with pytest.raises(SettingsError, match="there is no block 'generate'"):
        resolve(STAGES, [(COMMAND_LINE, layer)], other_blocks=["generate"])


def test_merge_replaces_lists_and_leaves_its_inputs_alone():
    below, above = {"a": {"b": [1, 2], "c": 1}}, {"a": {"b": [3]}}
    assert merge(below, above) == {"a": {"b": [3], "c": 1}}
    assert below == {"a": {"b": [1, 2], "c": 1}}


def test_arguments_of_another_class_do_not_linger():
    below = {"callback": {"class_path": "A", "init_args": {"x": 1}}}
    above = {"callback": {"class_path": "B", "init_args": {"y": 2}}}
    assert merge(below, above) == above


def test_flattened_undoes_nested():
    settings = merge(nested("data.batch_size", 4), nested("model.width", [1, 2]), nested("empty", {}))
    assert flattened(settings) == {"data.batch_size": 4, "model.width": [1, 2], "empty": {}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64", 64),
        ("1e-3", 1e-3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ("v", "v"),
        ("{a", "{a"),
    ],
)
def test_options_are_read_as_what_they_look_like(text, value):
    for arguments in (["--shared.model.x", text], [f"--shared.model.x={text}"]):
        assert parse_options(arguments) == {"shared": {"model": {"x": value}}}


@pytest.mark.parametrize(
    "arguments", [["--shared.model.x"], ["--shared.a", "--shared.b", "1"], ["stray"], ["--nodots", "1"]]
)
def test_wrong_options_say_what_is_wanted(arguments):
    with pytest.raises(SettingsError, match=r"wanted --<block>|value is missing"):
        parse_options(arguments)


def test_an_unknown_block_offers_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'autoencoder'"):
        resolve(STAGES, [("my.yaml", {"autoencodr": {}})])


def test_a_block_must_hold_names_and_values():
    with pytest.raises(SettingsError, match=r"my.yaml: block 'paired' holds 3"):
        resolve(STAGES, [("my.yaml", {"paired": 3})])


@pytest.mark.parametrize("content", ["a: [", "- 1", "text"])
def test_a_broken_settings_file_is_named(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"mine\.yaml"):
        read_yaml(path)


def test_a_missing_settings_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.yaml"):
        read_yaml(tmp_path / "absent.yaml")


def test_a_misspelt_preset_offers_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'tiny'"):
        read_preset("ubdiff", "tinny")


@pytest.mark.parametrize("path", sorted(CONFIG_ROOT.glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_preset_is_listed_and_has_no_key_twice(path: Path):
    assert path.stem in presets(path.parent.name)

    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node, deep=False):
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{path}: {keys}"
        return yaml.SafeLoader.construct_mapping(loader, node, deep)

    Strict.add_constructor(
        yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda loader, node: mapping(loader, node, True)
    )
    assert isinstance(yaml.load(path.read_text(), Strict), dict)
