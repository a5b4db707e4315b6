"""The Hub's API on this machine, at its documented shape, as far as `s1-hf push` uses it; it can be told to fail.

https://huggingface.co/docs/hub/api, and what huggingface_hub asks for: whoami-v2, repos/create, the repository's facts,
validate-yaml, preupload, git-lfs's batches, commit, branch, resolve. It keeps everything in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_StandInStandInStandInStandIn"
TYPES = {"models": "model", "datasets": "dataset", "spaces": "space"}
REPO = r"(?P<repo>[^/]+/[^/]+)"
API = rf"/api/(?P<kind>models|datasets|spaces)/{REPO}"


@dataclass
class Repo:
    private: bool = False
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    commits: list[str] = field(default_factory=list)
    proposals: list[dict[str, bytes]] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        return self.branches["main"]


class StandIn(ThreadingHTTPServer):
    """Serves while the block lasts.

    `faults`: by a part of "METHOD /path", what happens to the next such requests instead: a status, "cut",
    or "wait", for an answer that does not come.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large: dict[str, bytes] = {}
        self.faults: dict[str, list[Any]] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> StandIn:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *where: object) -> None:
        pass  # a client that was killed

    def fault(self, asked: str) -> Any:
        for part, actions in self.faults.items():
            if part in asked and actions:
                return actions.pop(0)
        return None


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *said: object) -> None:
        pass

    def do_GET(self) -> None:
        self._do()

    do_HEAD = do_POST = do_PUT = do_GET

    def _do(self) -> None:
        path = unquote(urlsplit(self.path).path)
        asked = f"{self.command} {path}"
        self.server.asked.append(asked)
        action = self.server.fault(asked)
        if action == "wait":
            threading.Event().wait(60)
        if action == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        body = self._body()
        if action is not None:
            return self._say(action, {"error": f"told to answer {action}"})
        if path.startswith("/lfs/"):
            self.server.large[path[5:]] = body
            return self._say(200, {})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say(401, {"error": "Invalid credentials in Authorization header"})
        for pattern, answer in _ROUTES.items():
            if found := re.fullmatch(pattern, asked):
                return answer(self, body, **found.groupdict())
        return self._say(404, {"error": f"no such address: {asked}"})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _say(self, status: int, value: Any, **headers: str) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    # -- what is asked ------------------------------------------------------------------------------------------------

    def _repo(self, kind: str, repo: str) -> Repo | None:
        found = self.server.repos.get((TYPES[kind], repo))
        if found is None:
            self._say(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        return found

    def _whoami(self, body: bytes) -> None:
        self._say(200, {"type": "user", "name": "me", "orgs": [], "auth": {}})

    def _create(self, body: bytes) -> None:
        wanted = json.loads(body)
        kind, name = wanted.get("type", "model"), f"{wanted['organization'] or 'me'}/{wanted['name']}"
        if not name.startswith("me/"):
            return self._say(403, {"error": "You don't have the rights to create a repository under this namespace"})
        if (kind, name) in self.server.repos:
            return self._say(409, {"error": "You already created this repository"})
        self.server.repos[kind, name] = Repo(wanted.get("visibility") == "private" or bool(wanted.get("private")))
        return self._say(200, {"url": f"{self.server.url}/{'' if kind == 'model' else kind + 's/'}{name}"})

    def _info(self, body: bytes, kind: str, repo: str, revision: str | None = None) -> None:
        if (found := self._repo(kind, repo)) is not None:
            siblings = [{"rfilename": name} for name in found.files]
            self._say(200, {"id": repo, "private": found.private, "sha": "0" * 40, "siblings": siblings, "tags": []})

    def _validate(self, body: bytes) -> None:
        self._say(200, {"errors": [], "warnings": []})

    def _preupload(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        if (found := self._repo(kind, repo)) is None:
            return
        if revision not in found.branches:
            return self._say(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
        files = []
        for file in json.loads(body)["files"]:
            is_large = file["path"].endswith((".safetensors", ".parquet", ".png"))
            have = found.branches[revision].get(file["path"])
            oid = None if have is None else _oid(have, is_large)
            mode = "lfs" if is_large else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._say(200, {"files": files})

    def _batch(self, body: bytes, repo: str, kind: str | None = None) -> None:
        objects = []
        for one in json.loads(body)["objects"]:
            upload = {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}", "header": {}}}
            has = one["oid"] in self.server.large
            objects.append(one if has else one | {"actions": upload})
        self._say(200, {"transfer": "basic", "objects": objects})

    def _commit(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        if (found := self._repo(kind, repo)) is None:
            return
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            else:
                message = value["summary"]
        answer = {"commitUrl": f"{self.server.url}/{repo}/commit/{'1' * 40}", "commitOid": "1" * 40}
        if "create_pr=1" in self.path:
            found.proposals.append(files)
            answer["pullRequestUrl"] = f"{self.server.url}/{repo}/discussions/{len(found.proposals)}"
        else:
            found.branches[revision] |= files
            found.commits.append(message)
        self._say(200, answer)

    def _branch(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        if (found := self._repo(kind, repo)) is not None:
            found.branches.setdefault(revision, dict(found.files))
            self._say(200, {})

    def _resolve(self, body: bytes, repo: str, revision: str, path: str, kind: str | None = None) -> None:
        if (found := self._repo(kind or "models", repo)) is None:
            return
        content = found.branches.get(revision, {}).get(path)
        if content is None:
            return self._say(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
        self._say(200, content, ETag=f'"{_oid(content, False)}"', X_Repo_Commit="1" * 40)


def _oid(content: bytes, is_large: bool) -> str:
    """As git names it, or git-lfs."""
    if is_large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


_ROUTES: dict[str, Any] = {
    "GET /api/whoami-v2": _Handler._whoami,
    "POST /api/repos/create": _Handler._create,
    "POST /api/validate-yaml": _Handler._validate,
    rf"GET {API}(/revision/(?P<revision>.+))?": _Handler._info,
    rf"POST {API}/preupload/(?P<revision>.+)": _Handler._preupload,
    rf"POST {API}/commit/(?P<revision>.+)": _Handler._commit,
    rf"POST {API}/branch/(?P<revision>.+)": _Handler._branch,
    rf"POST /((?P<kind>datasets|spaces)/)?{REPO}\.git/info/lfs/objects/batch": _Handler._batch,
    rf"(GET|HEAD) /((?P<kind>datasets|spaces)/)?{REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)": _Handler._resolve,
}
