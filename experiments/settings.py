"""Settings of an experiment: defaults < preset < the user's file < options, for `run`, `fit` and sweeps alike.

A layer is a mapping with a `shared` block, a block for each group of stages, and one for each stage. Within a layer
the stage's own block wins over its group's, and that over `shared`; a later layer wins over an earlier one as a whole,
so that `--shared.model.latent_dim 64` on the command line also beats what a preset says for one stage.
"""

import copy
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.errors import SettingsError

CONFIG_ROOT = Path(__file__).parent / "configs"
SHARED = "shared"
VARIANTS, SUBJECTS = "variants", "subjects"
COMMAND_LINE = "the command line"

Settings = dict[str, Any]


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name, ready to stand at the end of a message."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}."


def merge(*layers: Mapping[str, Any]) -> Settings:
    """Merge mappings key by key, later ones on top; lists and scalars are replaced whole."""
    merged: Settings = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            if isinstance(value, Mapping) and isinstance(below, dict):
                # Another class takes other arguments: those of the one before must not linger.
                other_class = "class_path" in value and value["class_path"] != below.get("class_path")
                merged[key] = copy.deepcopy(dict(value)) if other_class else merge(below, value)
            else:
                merged[key] = copy.deepcopy(dict(value) if isinstance(value, Mapping) else value)
    return merged


def nested(dotted: str, value: Any) -> Settings:
    """`("model.latent_dim", 64)` as `{"model": {"latent_dim": 64}}`."""
    for key in reversed(dotted.split(".")):
        value = {key: value}
    return dict(value)


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The reverse of `nested`, over a whole tree: dotted name -> leaf."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat.update(flattened(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def read_yaml(path: Path) -> Settings:
    """Read a settings file.

    Raises:
        SettingsError: If it is missing, is not YAML, or holds no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: the settings file cannot be read ({error.strerror}); name an existing one."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise SettingsError(f"{path}{line}: this is not valid YAML; correct it.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(
            f"{path}: found a {type(content).__name__}, wanted blocks such as `{SHARED}:`; see the presets."
        )
    return content


def presets(paper: str) -> list[str]:
    """Names of the presets of a paper."""
    return sorted(path.stem for path in (CONFIG_ROOT / paper).glob("*.yaml"))


def read_preset(paper: str, name: str) -> Settings:
    """Read `configs/<paper>/<name>.yaml`.

    Raises:
        SettingsError: If there is no such preset; the message offers the nearest name.
    """
    if name not in presets(paper):
        raise SettingsError(f"--preset {name}: {paper} has no such preset; {nearest(name, presets(paper))}")
    return read_yaml(CONFIG_ROOT / paper / f"{name}.yaml")


def parse_options(arguments: Sequence[str]) -> Settings:
    """Turn `--block.dotted.name value` and `--block.dotted.name=value` into a settings layer.

    Values are read as YAML, so `64`, `1e-3`, `true`, `null` and `[1, 2]` are what they look like. This is the form
    in which a W&B sweep agent passes its keys.

    Raises:
        SettingsError: If an option has no value or is not of this form.
    """
    layer: Settings = {}
    rest = list(arguments)
    while rest:
        option = rest.pop(0)
        name, equals, text = option.removeprefix("--").partition("=")
        if not option.startswith("--") or "." not in name:
            raise SettingsError(
                f"{option}: this option is not known; wanted --<block>.<name> VALUE, or one that --help lists."
            )
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise SettingsError(f"{option}: the value is missing; write {option} VALUE.")
            text = rest.pop(0)
        layer = merge(layer, nested(name, parse_value(text)))
    return layer


def parse_value(text: str) -> Any:
    """One option's value; numbers such as `1e-3`, which YAML 1.1 reads as text, become numbers."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


@dataclass(frozen=True)
class StageBlocks:
    """How a stage gets its settings.

    Args:
        name: Of the stage, and of its own block.
        group: Block that it shares with the other stages of its group, if any.
        accepts: Says of a dotted setting whether the stage has it; asked for blocks that are shared.
    """

    name: str
    group: str | None = None
    accepts: Callable[[str], bool] = lambda _: True


def resolve(
    stages: Sequence[StageBlocks],
    layers: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    variant: str = "",
    subject: str = "",
    other_blocks: Iterable[str] = (),
) -> dict[str, Settings]:
    """Settings of every stage after merging the layers.

    A setting in `shared`, or in a group's block, goes to the stages that have it; one that none of them has goes to
    all, so that it is refused. A layer's blocks `subjects` and `variants` have a layer for each subject (what is run
    on, such as a data set) and for each variant, on top of the rest; a subject's may have `variants` of its own.

    Args:
        stages: The experiment's stages, in order.
        layers: (where it comes from, blocks) from the lowest to the highest.
        variant: Name of the variant that is run.
        subject: Name of what it is run on.
        other_blocks: Blocks of stages that other variants have; a preset's or a file's are passed over.

    Returns:
        Stage name -> settings as SuiteCLI takes them.

    Raises:
        SettingsError: If a block is neither `shared` nor a stage nor a group.
    """
    settings: dict[str, Settings] = {stage.name: {} for stage in stages}
    own = {SHARED, *settings, *(stage.group for stage in stages if stage.group)}
    for origin, whole in layers:
        layer = for_variant(for_subject(whole, subject), variant)
        for block, content in layer.items():
            if block not in own and (block not in other_blocks or origin == COMMAND_LINE):
                raise SettingsError(f"{origin}: there is no block {block!r}; {nearest(block, own)}")
            if content is not None and not isinstance(content, Mapping):
                raise SettingsError(f"{origin}: block {block!r} holds {content!r}, wanted names and values below it.")
        for stage in stages:
            common = (
                _for_stage(layer.get(block) or {}, stage, stages, block) for block in (SHARED, stage.group) if block
            )
            settings[stage.name] = merge(settings[stage.name], *common, layer.get(stage.name) or {})
    return settings


def for_subject(layer: Mapping[str, Any], subject: str) -> Settings:
    """A layer with what it has for one subject on top of the rest; its block `variants` stays a block."""
    return merge(_without(layer, SUBJECTS), (layer.get(SUBJECTS) or {}).get(subject) or {})


def for_variant(layer: Mapping[str, Any], variant: str) -> Settings:
    """A layer with what it has for one variant on top of the rest."""
    return merge(_without(layer, VARIANTS), (layer.get(VARIANTS) or {}).get(variant) or {})


def _without(layer: Mapping[str, Any], block: str) -> Settings:
    return {name: content for name, content in layer.items() if name != block}


def _for_stage(content: Mapping[str, Any], stage: StageBlocks, stages: Sequence[StageBlocks], block: str) -> Settings:
    """What of a shared block goes to one stage."""
    sharing = [each for each in stages if block in (SHARED, each.group)]
    kept: Settings = {}
    for name, value in flattened(content).items():
        if stage.accepts(name) or not any(each.accepts(name) for each in sharing):
            kept = merge(kept, nested(name, value))
    return kept


def last_value(setting: str, layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Any:
    """The value that the highest layer gives to a shared setting, or None."""
    for _, layer in reversed(layers):
        shared = layer.get(SHARED)
        found = flattened(shared) if isinstance(shared, Mapping) else {}  # else refused by `resolve`
        if setting in found:
            return found[setting]
    return None


def check_shared(resolved: Mapping[str, Mapping[str, Any]], prefixes: tuple[str, ...]) -> None:
    """Settings that fix tensor shapes or data must agree between stages.

    Args:
        resolved: Stage name -> its settings, in order.
        prefixes: Of the dotted names of those settings.

    Raises:
        SettingsError: If two stages differ in one.
    """
    seen: dict[str, tuple[str, Any]] = {}
    for stage, settings in resolved.items():
        for name, value in flattened(settings).items():
            if not name.startswith(prefixes):
                continue
            other, wanted = seen.setdefault(name, (stage, value))
            if value != wanted:
                raise SettingsError(
                    f"{name} must be the same in all stages, found {wanted!r} in {other} and "
                    f"{value!r} in {stage}; set it once as --shared.{name} VALUE."
                )
