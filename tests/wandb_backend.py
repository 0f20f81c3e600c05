"""A stand-in for the Weights & Biases backend on the loopback interface, for real `wandb sweep` and `wandb agent`.

It answers the GraphQL operations, file streams and uploads that wandb 0.31 sends, and keeps in memory what came: sweeps
with the points they hand out, and runs with configuration, history, summary, files and exit code. An operation it does
not know is answered with an error and remembered, so that a test sees what a new version of wandb asks for.
"""

import itertools
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import yaml

ENTITY = "tester"
JSON = dict[str, Any]


@dataclass
class ReceivedRun:
    """What came from one run."""

    name: str
    config: JSON = field(default_factory=dict)
    history: list[JSON] = field(default_factory=list)
    summary: JSON = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    sweep: str | None = None
    exit_codes: list[int] = field(default_factory=list)
    starts: int = 0


@dataclass
class ReceivedSweep:
    """A sweep: what it still has to hand out, and what it has."""

    name: str
    config: JSON
    left: list[JSON]
    given: dict[str, JSON] = field(default_factory=dict)


def leaves(parameters: JSON, prefix: str = "") -> JSON:
    """Dotted name of every parameter -> its description; nested `parameters` are unfolded."""
    found: JSON = {}
    for name, content in parameters.items():
        if "parameters" in content:
            found |= leaves(content["parameters"], f"{prefix}{name}.")
        else:
            found[prefix + name] = content
    return found


def points(config: JSON, seed: int = 0) -> list[JSON]:
    """Every point of a grid, or `run_cap` (4) draws of a random sweep."""
    parameters = leaves(config["parameters"])
    choices = {name: content.get("values", [content.get("value")]) for name, content in parameters.items()}
    if config["method"] == "grid":
        return [dict(zip(choices, point, strict=True)) for point in itertools.product(*choices.values())]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(config.get("run_cap", 4)):
        draw = {}
        for name, content in parameters.items():
            if "min" in content:
                draw[name] = float(rng.uniform(content["min"], content["max"]))
            else:
                draw[name] = choices[name][int(rng.integers(len(choices[name])))]
        draws.append(draw)
    return draws


@dataclass
class ReceivedArtifact:
    """An artifact: its files as they came."""

    name: str
    kind: str
    files: dict[str, bytes] = field(default_factory=dict)
    is_committed: bool = False


class WandbBackend:
    """The server; use it in a `with`.

    Attributes:
        url: For `WANDB_BASE_URL`.
        sweeps: By name.
        runs: By id.
        artifacts: By name; a logged table is one.
        unknown: Operations that nobody here knows, as they were asked.
        to_stop: Ids of runs whose agent is told to stop them at its next heartbeat.
        most_runs: At most so many runs are handed out; None for all.
    """

    def __init__(self, most_runs: int | None = None) -> None:
        self.sweeps: dict[str, ReceivedSweep] = {}
        self.runs: dict[str, ReceivedRun] = {}
        self.artifacts: dict[str, ReceivedArtifact] = {}
        self.unknown: list[str] = []
        self.to_stop: set[str] = set()
        self.most_runs = most_runs
        self._lock = threading.Lock()

    def __enter__(self) -> "WandbBackend":
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def environment(self, home: Path) -> dict[str, str]:
        """Environment variables that send all of wandb's traffic here and all of its files below `home`."""
        folders = {name: home / name.lower() for name in ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR")}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": "0" * 40,
            "WANDB_MODE": "online",
            "HOME": str(home),
            **{name: str(folder) for name, folder in folders.items()},
        }

    # -- what is asked ---------------------------------------------------------------------------------------------

    def answer(self, query: str, operation: str | None, variables: JSON) -> JSON:
        """The answer to a GraphQL request."""
        named = re.search(r"\b(?:query|mutation)\s+(\w+)", query)
        name = operation or (named.group(1) if named else "")
        with self._lock:
            handler = getattr(self, f"_on_{name}", None)
            if handler is None:
                self.unknown.append(f"{name}: {query} {json.dumps(variables)}"[:2000])
                return {"data": None, "errors": [{"message": f"unknown operation {name}"}]}
            return {"data": handler(variables)}

    @staticmethod
    def _project() -> JSON:
        return {"id": "project", "name": "suite", "entity": {"id": "entity", "name": ENTITY}}

    def _on_Viewer(self, _: JSON) -> JSON:  # noqa: N802 - named as wandb has it
        viewer = {"id": "viewer", "entity": ENTITY, "username": ENTITY, "name": ENTITY, "email": "tester@example.org"}
        return {"viewer": {**viewer, "flags": "{}", "teams": {"edges": []}, "admin": False}}

    def _on_ServerFeaturesQuery(self, _: JSON) -> JSON:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _on_UpsertSweep(self, asked: JSON) -> JSON:  # noqa: N802
        config = yaml.safe_load(asked["config"])
        name = f"sweep{len(self.sweeps)}"
        self.sweeps[name] = ReceivedSweep(name, config, points(config)[: self.most_runs])
        return {"upsertSweep": {"sweep": {"name": name, "project": self._project()}, "configValidationWarnings": []}}

    def _on_SweepWithRuns(self, asked: JSON) -> JSON:  # noqa: N802
        sweep = self.sweeps.get(asked["sweep"])
        if sweep is None:
            return {"project": {"sweep": None}}
        nothing = dict.fromkeys(("bestLoss", "controller", "scheduler"))
        texts = dict.fromkeys(("description", "createdAt", "heartbeatAt", "updatedAt"), "")
        described = {"id": sweep.name, "name": sweep.name, "method": sweep.config["method"], "state": "RUNNING"}
        known = {"config": yaml.safe_dump(sweep.config), "earlyStopJobRunning": False, "runs": {"edges": []}}
        return {"project": {"sweep": {**described, **known, **nothing, **texts}}}

    def _on_CreateAgent(self, asked: JSON) -> JSON:  # noqa: N802
        return {"createAgent": {"agent": {"id": asked["sweep"]}}}

    def _on_Heartbeat(self, asked: JSON) -> JSON:  # noqa: N802
        sweep, busy = self.sweeps[asked["id"]], json.loads(asked["runState"])
        commands: list[JSON] = []
        if busy:
            commands = [{"type": "stop", "run_id": run} for run in busy if run in self.to_stop]
        elif sweep.left:
            run = f"{sweep.name}run{len(sweep.given)}"
            sweep.given[run] = sweep.left.pop(0)
            arguments = {name: {"value": value} for name, value in sweep.given[run].items()}
            commands = [{"type": "run", "run_id": run, "program": sweep.config.get("program"), "args": arguments}]
        else:
            commands = [{"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": asked["id"]}, "commands": json.dumps(commands)}}

    def _on_RunResumeStatus(self, asked: JSON) -> JSON:  # noqa: N802
        run = self.runs.get(asked["name"])
        if run is None or not run.starts:
            return {"model": {"bucket": None}}
        bucket = {
            "id": run.name, "name": run.name, "displayName": run.name, "sweepName": run.sweep, "summaryMetrics":
            json.dumps(run.summary), "historyLineCount": len(run.history), "eventsLineCount": 0, "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(line) for line in run.history[-1:]]), "eventsTail": "[]",
            "config": json.dumps(run.config), "tags": [], "wandbConfig": "{}",
        }  # fmt: skip
        return {"model": {"bucket": bucket}}

    def _on_UpsertBucket(self, asked: JSON) -> JSON:  # noqa: N802
        run = self.runs.setdefault(asked["name"], ReceivedRun(asked["name"]))
        if asked.get("config"):
            sent = json.loads(asked["config"])
            run.config = {name: value.get("value", value) for name, value in sent.items()}
        over = len(run.exit_codes) == run.starts
        run.starts += int(over)
        run.sweep = asked.get("sweep") or run.sweep
        bucket = {"id": run.name, "name": run.name, "displayName": run.name, "description": "", "config": None}
        more = {"sweepName": run.sweep, "historyLineCount": len(run.history), "project": self._project()}
        return {"upsertBucket": {"inserted": run.starts < 2, "bucket": {**bucket, **more}}}

    def _on_CreateRunFiles(self, asked: JSON) -> JSON:  # noqa: N802
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/{asked['run']}/{name}"} for name in asked["files"]]
        return {"createRunFiles": {"runID": asked["run"], "uploadHeaders": [], "files": files}}

    def _on_RunStoppedStatus(self, asked: JSON) -> JSON:  # noqa: N802
        return {"project": {"run": {"stopped": False}}}

    def _on_OrganizationCoreWeaveOrganizationID(self, _: JSON) -> JSON:  # noqa: N802
        return {"entity": {"organization": None}}

    def _on_ArtifactType(self, asked: JSON) -> JSON:  # noqa: N802
        known = asked["name"].partition(":")[0] in self.artifacts
        return {"project": {"artifact": {"artifactType": {"name": "any"}} if known else None}}

    def _on_CreateArtifact(self, asked: JSON) -> JSON:  # noqa: N802
        name = asked["input"]["artifactCollectionName"]
        self.artifacts.setdefault(name, ReceivedArtifact(name, asked["input"]["artifactTypeName"]))
        artifact = {"id": name, "state": "PENDING", "artifactSequence": {"id": name, "latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def _on_CreateArtifactManifest(self, asked: JSON) -> JSON:  # noqa: N802
        asked = asked.get("input", asked)
        file = {"id": "manifest", "name": asked["name"], "displayName": asked["name"], "uploadHeaders": []}
        manifest = {"id": asked["artifactID"], "file": {**file, "uploadUrl": f"{self.url}/manifest/any"}}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def _on_CreateArtifactFiles(self, asked: JSON) -> JSON:  # noqa: N802
        edges = []
        for spec in asked["input"]["artifactFiles"]:
            artifact = self.artifacts[spec["artifactID"]]
            url = f"{self.url}/artifact/{artifact.name}/{spec['name']}"
            node = {"id": spec["name"], "name": spec["name"], "displayName": spec["name"], "uploadUrl": url}
            more = {"uploadHeaders": [], "artifact": {"id": artifact.name}, "storagePath": spec["name"]}
            edges.append({"node": {**node, **more, "uploadMultipartUrls": None}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _on_UpdateArtifactManifest(self, asked: JSON) -> JSON:  # noqa: N802
        return self._on_CreateArtifactManifest(asked)

    def _on_CommitArtifact(self, asked: JSON) -> JSON:  # noqa: N802
        name = asked.get("input", asked)["artifactID"]
        self.artifacts[name].is_committed = True
        return {"commitArtifact": {"artifact": {"id": name, "digest": ""}}}

    # -- what is sent ----------------------------------------------------------------------------------------------

    def stream(self, run_id: str, body: JSON) -> JSON:
        """A piece of a run's file stream."""
        with self._lock:
            run = self.runs.setdefault(run_id, ReceivedRun(run_id))
            for name, piece in (body.get("files") or {}).items():
                if name == "wandb-history.jsonl":
                    run.history += [json.loads(line) for line in piece["content"]]
                elif name == "wandb-summary.json" and piece["content"]:
                    run.summary = json.loads(piece["content"][-1])
            if body.get("complete"):
                run.exit_codes.append(int(body["exitcode"]))
            return {"exitcode": None, "limits": {}}

    def upload(self, kind: str, owner: str, name: str, content: bytes) -> None:
        """A file of a run or of an artifact."""
        with self._lock:
            if kind == "upload":
                self.runs.setdefault(owner, ReceivedRun(owner)).files[name] = content
            else:
                self.artifacts[owner].files[name] = content


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that goes away with its process is no fault here."""


def _handler(backend: WandbBackend) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _reply(self, content: JSON) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = self._body()
            stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
            if self.path == "/graphql":
                asked = json.loads(body)
                self._reply(backend.answer(asked["query"], asked.get("operationName"), asked.get("variables") or {}))
            elif stream:
                self._reply(backend.stream(stream.group(1), json.loads(body)))
            else:
                self._reply({})

        def do_PUT(self) -> None:
            body, place = self._body(), re.fullmatch(r"/(upload|artifact)/([^/]+)/(.+)", self.path)
            if place:
                backend.upload(*place.groups(), body)
            self._reply({})

        def do_GET(self) -> None:
            self._reply({})

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    return Handler
