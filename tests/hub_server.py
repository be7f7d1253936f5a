"""A minimal Hub on loopback: a model repository's API, its files by HEAD and GET, laid out as the Hub does."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

_LARGE = 1000
"""Files from here on are stored as the Hub stores large ones, under the sha256 of their content."""


@dataclass
class Repository:
    """One model repository at one commit."""

    files: dict[str, bytes]
    commit: str = ""

    def __post_init__(self) -> None:
        self.commit = hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()


@dataclass
class Hub:
    """What is served, and what was asked for."""

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def upload(self, name: str, folder: Path) -> str:
        """Serve a folder as a repository; its commit."""
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        self.repositories[name] = Repository(files)
        return self.repositories[name].commit


@contextmanager
def serve() -> Iterator[Hub]:
    """A Hub for the length of the block, on a free port of 127.0.0.1."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._serve(with_body=False)

        def do_GET(self) -> None:
            self._serve(with_body=True)

        def _serve(self, with_body: bool) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.requests.append(f"{self.command} {path}")
            for name, repository in hub.repositories.items():
                if path.startswith(f"/api/models/{name}/"):
                    return self._api(name, repository, path.removeprefix(f"/api/models/{name}/"), with_body)
                if path == f"/api/models/{name}":
                    return self._api(name, repository, "revision/main", with_body)
                if path.startswith(f"/{name}/resolve/"):
                    revision, _, file = path.removeprefix(f"/{name}/resolve/").partition("/")
                    return self._file(repository, revision, file, with_body)
            return self._fail("RepoNotFound", "Repository not found", with_body)

        def _api(self, name: str, repository: Repository, rest: str, with_body: bool) -> None:
            kind, _, revision = rest.partition("/")
            if revision.partition("/")[0] not in ("main", repository.commit):
                return self._fail("RevisionNotFound", "Invalid rev id", with_body)
            entries = [_entry(file, data) for file, data in repository.files.items()]
            if kind == "tree":
                return self._send(
                    json.dumps([{"type": "file", **entry} for entry in entries]).encode(), {}, with_body
                )
            siblings = [{"rfilename": entry.pop("path"), **entry} for entry in entries]
            info = {
                "id": name,
                "modelId": name,
                "sha": repository.commit,
                "private": False,
                "siblings": siblings,
            }
            return self._send(json.dumps(info).encode(), {}, with_body)

        def _file(self, repository: Repository, revision: str, file: str, with_body: bool) -> None:
            if revision not in ("main", repository.commit):
                return self._fail("RevisionNotFound", "Invalid rev id", with_body)
            if file not in repository.files:
                return self._fail("EntryNotFound", "Entry not found", with_body)
            data = repository.files[file]
            headers = {
                "ETag": f'"{_etag(data)}"',
                "X-Repo-Commit": repository.commit,
                "Accept-Ranges": "bytes",
            }
            if len(data) >= _LARGE:
                headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(data))}
            return self._send(data, headers, with_body)

        def _send(self, data: bytes, headers: dict[str, str], with_body: bool) -> None:
            first, status = 0, 200
            wanted = self.headers.get("Range", "")
            if wanted.startswith("bytes=") and wanted[6:].partition("-")[0].isdigit():
                first, status = int(wanted[6:].partition("-")[0]), 206
                headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data) - first))
            self.end_headers()
            if with_body:
                self.wfile.write(data[first:])

        def _fail(self, code: str, message: str, with_body: bool) -> None:
            body = json.dumps({"error": message}).encode() if with_body else b""
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", message)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _entry(file: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"path": file, "size": len(data), "oid": _etag(data), "blobId": _etag(data)}
    if len(data) >= _LARGE:
        entry["lfs"] = {"sha256": _etag(data), "oid": _etag(data), "size": len(data), "pointerSize": 120}
    return entry


def _etag(data: bytes) -> str:
    if len(data) >= _LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
