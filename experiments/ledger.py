"""Results of a long computation, kept one by one, so that a second call goes on where the first was stopped."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from experiments.fingerprint import LIBRARIES, source_digests
from experiments.run_folder import read_json, write_json

Result = dict[str, Any]


class Ledger:
    """Key -> result, in a JSON file that is written whole after each new result.

    What was computed by other sources, other library versions or from other inputs is dropped.

    Args:
        path: The file.
        sources: Modules that the results depend on; what they import of the suite is followed.
        inputs: Further things that they depend on.
    """

    def __init__(self, path: Path, sources: Iterable[str], inputs: Mapping[str, Any] | None = None) -> None:
        from importlib.metadata import version

        self.path = path
        made_of = {
            "sources": source_digests(sources),
            "inputs": dict(inputs or {}),
            "versions": {name: version(name) for name in LIBRARIES},
        }
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        kept = read_json(path) or {}
        self._content: dict[str, Any] = kept if kept.get("made_of") == digest else {"made_of": digest, "results": {}}

    def __contains__(self, key: str) -> bool:
        return key in self._content["results"]

    def __getitem__(self, key: str) -> Result:
        return dict(self._content["results"][key])

    def result(self, key: str, compute: Callable[..., Mapping[str, Any]], *arguments: Any) -> Result:
        """The result of a key, computed and written down if it is not there.

        Args:
            key: What tells it from the others, all settings included.
            compute: Gives plain JSON values.
            arguments: Its arguments.
        """
        if key not in self:
            self._content["results"][key] = dict(compute(*arguments))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, self._content)
        return self[key]
