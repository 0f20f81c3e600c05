"""What `make data` prints: the source, the split, and the ranges found in every file."""

from collections.abc import Mapping

from datamodules.file_facts import facts_of
from datamodules.openfwi_source import OpenFWISource


def verified_summary(data: OpenFWISource, used: Mapping[str, tuple[int, int]]) -> str:
    """Check every value of every file and describe what is there.

    Args:
        data: the source, prepared.
        used: for each part (`train`, `validation`, `test`) how many maps and how many pairs are used.

    Raises:
        DataError: a file holds what it should not.
    """
    source = data.describe()
    lines = [source.sentence, f"  split       {source.provenance['split']}"]
    for part in (data.split.train, data.split.validation, data.split.test):
        n_maps, n_pairs = used[part.name]
        pairs = f", {n_pairs:,} pairs" if n_pairs else ""
        lines.append(f"  {part.name:<11} {len(part.order):,} maps, {n_maps:,} of them used{pairs}")
    maps = data.map_facts.values()
    low, high = min(fact.minimum for fact in maps), max(fact.maximum for fact in maps)
    lines.append(f"  velocity    {low:.1f} .. {high:.1f} m/s in {len(maps)} files, all finite")

    if data.kind == "real":
        seismic, where = data.seismic_facts(), data.files.root
    elif any(n_pairs for _, n_pairs in used.values()):
        where = data.gather_folder
        seismic = facts_of(sorted(where.glob("*/data/data*.npy")), data.cache_root, what="simulated gathers")
    else:
        return "\n".join(lines)
    low, high = min(fact.minimum for fact in seismic.values()), max(fact.maximum for fact in seismic.values())
    family = data.family
    lines.append(
        f"  seismic     {low:.2f} .. {high:.2f} in {len(seismic)} files below {where}, all finite "
        f"(all of OpenFWI's {family.name}: {family.seismic_minimum:.2f} .. {family.seismic_maximum:.2f})"
    )
    return "\n".join(lines)
