"""A loopback server that speaks as much of the Hugging Face hub's API as its real client uses, and can be told to fail.

Repository info, revisions, paginated trees, `resolve` with HEAD and GET, redirects of large files to a content address,
ETags, commit headers, Range requests, and the hub's error headers. Listens on 127.0.0.1 only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

NAME = r"(?P<repo>[\w.-]+(?:/[\w.-]+)?)"
INFO = re.compile(rf"^/api/(?P<kind>datasets|models)/{NAME}$")
REVISION = re.compile(rf"^/api/(?P<kind>datasets|models)/{NAME}/revision/(?P<revision>[^/]+)$")
TREE = re.compile(rf"^/api/(?P<kind>datasets|models)/{NAME}/tree/(?P<revision>[^/]+)(?:/(?P<below>.+))?$")
PATHS_INFO = re.compile(rf"^/api/(?P<kind>datasets|models)/{NAME}/paths-info/(?P<revision>[^/]+)$")
RESOLVE_DATASET = re.compile(rf"^/(?P<kind>datasets)/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)$")
RESOLVE_MODEL = re.compile(rf"^/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)$")
CDN = re.compile(r"^/cdn/(?P<sha256>[0-9a-f]{64})$")
PIECE = 4096


def git_sha1(content: bytes) -> str:
    """Return git's hash of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass
class Repo:
    """A repository with one commit."""

    kind: str
    name: str
    commit: str
    files: dict[str, bytes]
    large: tuple[str, ...] = (".parquet", ".safetensors", ".bin")
    """Endings of files that are kept as LFS files."""
    gated: bool = False
    gated_files: bool = False
    """True: listed for everybody, as gated repositories of the real hub are, and the files refused."""
    refuse_token: bool = False

    def is_large(self, path: str) -> bool:
        """Return whether a file is an LFS file."""
        return path.endswith(self.large)


@dataclass
class Faults:
    """What to do wrong; paths are those within a repository."""

    cut_after: dict[str, int] = field(default_factory=dict)
    """Close the connection after so many bytes of each answer for the path."""
    cuts_left: dict[str, int] = field(default_factory=dict)
    """How many more times; absent: always."""
    corrupt: dict[str, int] = field(default_factory=dict)
    """Flip a byte in so many answers."""
    silent_seconds: dict[str, float] = field(default_factory=dict)
    """Say nothing for so long before answering; keys are paths, `api` or `tree`."""
    silences_left: dict[str, int] = field(default_factory=dict)
    """How many more times; absent: always."""
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Answer with these statuses first."""
    no_ranges: bool = False
    """Ignore Range and send the whole file with 200."""
    piece_seconds: float = 0.0
    """Sleep after each piece of 4096 bytes."""


class _QuietServer(ThreadingHTTPServer):
    """Does not print that a client was killed."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients are killed on purpose."""


class HubServer:
    """The server; `with hub_server() as hub` starts and stops it."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.faults = Faults()
        self.page_size = 1000
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, path, Range of every request."""
        self.authorized: list[str] = []
        """Paths of requests that carried a token."""
        self._http = _QuietServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True

    @property
    def content_endpoint(self) -> str:
        """Where large files are: to a client another host, as on the real hub."""
        return f"http://localhost:{self._http.server_address[1]}"

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def add(self, repo: Repo) -> Repo:
        """Serve a repository."""
        self.repos[repo.kind, repo.name] = repo
        return repo

    def downloads(self) -> list[str]:
        """Return the paths of GET requests for file contents, redirects apart."""
        return [path for method, path, _ in self.requests if method == "GET" and "/resolve/" in path]

    def start(self) -> None:
        """Serve in a thread."""
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._http.shutdown()
        self._http.server_close()


@contextlib.contextmanager
def hub_server() -> Iterator[HubServer]:
    """Run a server for the length of a `with` block."""
    server = HubServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Be quiet."""

        def do_HEAD(self) -> None:
            _answer(hub, self, is_head=True)

        def do_GET(self) -> None:
            _answer(hub, self, is_head=False)

        def do_POST(self) -> None:
            _answer(hub, self, is_head=False)

    return Handler


def _answer(hub: HubServer, request: BaseHTTPRequestHandler, *, is_head: bool) -> None:
    split = urlsplit(request.path)
    path = unquote(split.path)
    hub.requests.append((request.command, path, request.headers.get("Range")))
    if request.headers.get("Authorization"):
        hub.authorized.append(path)
    try:
        if match := CDN.match(path):
            _send_content(hub, request, match["sha256"], is_head=is_head)
        elif match := PATHS_INFO.match(path):
            _send_paths_info(hub, request, match)
        elif match := TREE.match(path) or REVISION.match(path) or INFO.match(path):
            _send_api(hub, request, match, parse_qs(split.query))
        elif match := RESOLVE_DATASET.match(path) or RESOLVE_MODEL.match(path):
            _send_resolved(hub, request, match, is_head=is_head)
        else:
            _send(request, 404, b"", {})
    except (BrokenPipeError, ConnectionResetError):
        request.close_connection = True


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


def _find(hub: HubServer, request: BaseHTTPRequestHandler, match: re.Match[str]) -> Repo | None:
    """Return the repository asked for, or None after an error was sent as the hub sends it."""
    asked = match.groupdict()
    repo = hub.repos.get((asked.get("kind") or "models", asked["repo"]))
    if repo is None:
        _send(request, 404, b'{"error":"Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        return None
    if repo.gated:
        message = "Access to this repository is restricted."
        _send(request, 401, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": message})
        return None
    if repo.refuse_token:
        _send(request, 403, b"{}", {"X-Error-Message": "the token may not read this"})
        return None
    revision = asked.get("revision")
    if revision is not None and revision not in ("main", repo.commit):
        _send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        return None
    return repo


def _is_failing(hub: HubServer, request: BaseHTTPRequestHandler, key: str) -> bool:
    faults = hub.faults
    if key in faults.silences_left:
        faults.silences_left[key] -= 1
    if faults.silences_left.get(key, 0) >= 0:
        time.sleep(faults.silent_seconds.get(key, 0.0))
    statuses = hub.faults.statuses.get(key)
    if not statuses:
        return False
    _send(request, statuses.pop(0), b"", {})
    return True


def _send_paths_info(hub: HubServer, request: BaseHTTPRequestHandler, match: re.Match[str]) -> None:
    body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
    repo = _find(hub, request, match)
    if repo is None:
        return
    form = parse_qs(body.decode())
    wanted = form["paths"] if "paths" in form else json.loads(body)["paths"]
    rows = [row for row in _tree(repo) if row["path"] in wanted]
    _send(request, 200, json.dumps(rows).encode(), {"Content-Type": "application/json"})


def _send_api(
    hub: HubServer, request: BaseHTTPRequestHandler, match: re.Match[str], query: dict[str, list[str]]
) -> None:
    if _is_failing(hub, request, "tree" if match.re is TREE else "api"):
        return
    repo = _find(hub, request, match)
    if repo is None:
        return
    headers = {"Content-Type": "application/json"}
    if match.re is not TREE:
        siblings = [{"rfilename": path} for path in sorted(repo.files)]
        body = {"id": repo.name, "_id": "0", "sha": repo.commit, "private": False, "siblings": siblings, "tags": []}
        _send(request, 200, json.dumps(body).encode(), headers)
        return
    rows = _tree(repo)
    if below := match["below"]:
        rows = [row for row in rows if str(row["path"]).startswith(f"{below}/")]
        if not rows:
            _send(request, 404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
    if query.get("recursive", ["true"])[0].lower() == "false":
        depth = below.count("/") + 1 if below else 0
        rows = [row for row in rows if str(row["path"]).count("/") == depth]
    cursor = int(query.get("cursor", ["0"])[0])
    page = rows[cursor : cursor + hub.page_size]
    if cursor + hub.page_size < len(rows):
        path = f"{hub.endpoint}{quote(match.string)}"
        headers["Link"] = f'<{path}?recursive=True&cursor={cursor + hub.page_size}>; rel="next"'
    _send(request, 200, json.dumps(page).encode(), headers)


def _tree(repo: Repo) -> list[dict[str, object]]:
    folders = sorted({path.rpartition("/")[0] for path in repo.files if "/" in path})
    rows: list[dict[str, object]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": one} for one in folders]
    for path, content in sorted(repo.files.items()):
        row: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
        if repo.is_large(path):
            oid = hashlib.sha256(content).hexdigest()
            row["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 134}
        rows.append(row)
    return rows


def _send_resolved(hub: HubServer, request: BaseHTTPRequestHandler, match: re.Match[str], *, is_head: bool) -> None:
    repo = _find(hub, request, match)
    if repo is None:
        return
    path = match["path"]
    if repo.gated_files:
        _send(request, 403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "not on the list"})
        return
    if path not in repo.files:
        _send(request, 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repo.commit})
        return
    content = repo.files[path]
    headers = {"X-Repo-Commit": repo.commit}
    if repo.is_large(path):
        sha256 = hashlib.sha256(content).hexdigest()
        headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        headers["Location"] = f"{hub.content_endpoint}/cdn/{sha256}"
        _send(request, 302, b"", headers)
        return
    headers["ETag"] = f'"{git_sha1(content)}"'
    _send_bytes(hub, request, path, content, headers, is_head=is_head)


def _send_content(hub: HubServer, request: BaseHTTPRequestHandler, sha256: str, *, is_head: bool) -> None:
    for repo in hub.repos.values():
        for path, content in repo.files.items():
            if hashlib.sha256(content).hexdigest() == sha256:
                _send_bytes(hub, request, path, content, {"ETag": f'"{sha256}"'}, is_head=is_head)
                return
    _send(request, 404, b"", {})


def _send_bytes(
    hub: HubServer,
    request: BaseHTTPRequestHandler,
    path: str,
    content: bytes,
    headers: dict[str, str],
    *,
    is_head: bool,
) -> None:
    if _is_failing(hub, request, path):
        return
    faults = hub.faults
    begin = 0
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
    if asked and not faults.no_ranges:
        begin = int(asked[1])
        headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
    if faults.corrupt.get(path, 0) > 0:
        faults.corrupt[path] -= 1
        middle = len(content) // 2
        content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    body = content[begin:]
    request.send_response(206 if begin else 200)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Accept-Ranges", "bytes")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if is_head:
        return
    limit = faults.cut_after.get(path)
    if limit is not None and path in faults.cuts_left:
        faults.cuts_left[path] -= 1
        limit = limit if faults.cuts_left[path] >= 0 else None
    for start in range(0, len(body), PIECE):
        piece = body[start : start + PIECE]
        if limit is not None and start + len(piece) > limit:
            request.wfile.write(piece[: max(limit - start, 0)])
            request.close_connection = True
            return
        request.wfile.write(piece)
        time.sleep(faults.piece_seconds)
