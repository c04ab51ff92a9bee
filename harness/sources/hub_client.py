"""Talking to the Hugging Face hub: resolve a revision, list a repository, download a file; the only file that does.

Built on the public parts of `huggingface_hub` (`HfApi`, `get_session`, `hf_hub_url`). Its own `hf_hub_download` writes
to a temporary name of each process and so starts a file over after a kill; here a partial file has a fixed name and is
continued with a Range request. Every file is checked against what the server says of it: the sha256 of large files,
the git blob hash of small ones.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from harness.digests import sha256_file
from harness.sources.hub_errors import Asked, FetchError, disk_problem, explained, unreachable

if TYPE_CHECKING:
    import httpx2


LONGEST_WAIT_SECONDS = 60.0
RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)
PLAIN_HTTP_LIMIT_BYTES = 50 * 1000**3
"""The hub serves larger files through its own storage protocol alone."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a repository at a commit."""

    path: str
    size: int
    """Bytes."""
    sha256: str | None
    """None for a small file, which git holds itself."""
    git_sha1: str

    def is_at(self, path: Path) -> bool:
        """Return whether the file at `path` has its size and content."""
        return path.is_file() and path.stat().st_size == self.size and self.is_content_of(path)

    def is_content_of(self, path: Path) -> bool:
        """Return whether `path` has the server's hash."""
        return sha256_file(path) == self.sha256 if self.sha256 else git_blob_sha1(path) == self.git_sha1


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait and how often to try."""

    timeout_seconds: float = 30.0
    """Without a byte from the server."""
    retries: int = 5
    """After the first attempt; a download that got further starts counting anew."""
    backoff_seconds: float = 1.0
    """Before the first retry; doubled each time."""


class HubClient:
    """The hub at `HF_ENDPOINT`, with bounded patience."""

    def __init__(self, patience: Patience, say: Callable[[str], None]) -> None:
        """Install a client that times out; `say` is told of each retry.

        Raises:
            FetchError: HF_HUB_OFFLINE forbids asking.
        """
        import httpx2
        from huggingface_hub import HfApi, constants, set_client_factory

        if constants.is_offline_mode():
            step = "unset HF_HUB_OFFLINE (and HF_DATASETS_OFFLINE, TRANSFORMERS_OFFLINE) and run it again"
            raise FetchError("HF_HUB_OFFLINE is set, and fetching needs the network", step=step, scope="everything")
        self._patience = patience
        self._say = say
        timeout = httpx2.Timeout(patience.timeout_seconds)

        def limit(request: httpx2.Request) -> None:
            # The client lists trees with `timeout=None`, which would wait for a silent server for ever.
            request.extensions["timeout"] = timeout.as_dict()

        set_client_factory(lambda: httpx2.Client(follow_redirects=True, event_hooks={"request": [limit]}))
        self._api = HfApi()

    @property
    def endpoint(self) -> str:
        """The address that is asked."""
        return str(self._api.endpoint)

    def resolve(self, kind: str, repo: str, revision: str | None) -> str:
        """Return the commit that `revision` (None: the default branch) is now; raises FetchError."""
        info = self._patiently(
            lambda: self._api.repo_info(
                repo, repo_type=kind[:-1], revision=revision, timeout=self._patience.timeout_seconds
            ),
            Asked(kind, repo, revision, self.endpoint),
        )
        return str(info.sha)

    def files(self, kind: str, repo: str, commit: str) -> list[RemoteFile]:
        """Return every visible file of a repository at a commit; raises FetchError."""
        asked = Asked(kind, repo, commit, self.endpoint)
        tree = self._patiently(
            lambda: list(self._api.list_repo_tree(repo, recursive=True, revision=commit, repo_type=kind[:-1])), asked
        )
        from huggingface_hub.hf_api import RepoFile

        files = [
            RemoteFile(
                path=one.path, size=one.size, sha256=one.lfs.sha256 if one.lfs else None, git_sha1=str(one.blob_id)
            )
            for one in tree
            if isinstance(one, RepoFile)
        ]
        unsafe = [one.path for one in files if not _is_inside(one.path)]
        if unsafe:
            raise FetchError(
                f"{asked}: the server names a path outside the folder: {unsafe[0]!r}", step="do not use it"
            )
        return [one for one in files if not any(part.startswith(".") for part in PurePosixPath(one.path).parts)]

    def download(
        self, kind: str, repo: str, commit: str, file: RemoteFile, target: Path, progress: Callable[[int], None]
    ) -> None:
        """Download a file to `target`, continuing `target.part` where there is one.

        Args:
            kind, repo, commit: where it is.
            file: its path and what it must hash to.
            target: appears only with the right content.
            progress: is told of each new piece in bytes; negative when bytes had to be thrown away.

        Raises:
            FetchError: it cannot be had, or has another content twice.
        """
        asked = Asked(kind, repo, commit, self.endpoint, file.path)
        if file.size > PLAIN_HTTP_LIMIT_BYTES:
            step = f"hf download {repo} {file.path} --revision {commit}, then put it into the hub's folder"
            raise FetchError(f"{asked}: more than 50 GB, which the hub does not serve over plain HTTP", step=step)
        part = part_of(target)
        for attempt in ("first", "second"):
            self._complete(asked, file, part, progress)
            if file.is_content_of(part):
                part.replace(target)
                return
            self._say(f"  {asked}: its content does not match the server's hash ({attempt} attempt); deleted")
            part.unlink()
            progress(-file.size)
        raise FetchError(
            f"{asked}: downloaded twice, and neither time was its content what the server's own listing says; deleted",
            step="try again later or from another network; a proxy on the way may be altering files",
        )

    def _complete(self, asked: Asked, file: RemoteFile, part: Path, progress: Callable[[int], None]) -> None:
        """Bring `part` to the file's full size, over as many connections as it takes."""
        part.parent.mkdir(parents=True, exist_ok=True)
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        part.touch()

        def received() -> int:
            return part.stat().st_size

        def go_on() -> None:
            if received() < file.size:
                self._stream(asked, file, part, progress)

        self._patiently(go_on, asked, received)

    def _stream(self, asked: Asked, file: RemoteFile, part: Path, progress: Callable[[int], None]) -> None:
        import httpx2
        from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
        from huggingface_hub.utils import build_hf_headers

        url = hf_hub_url(asked.repo, file.path, repo_type=asked.kind[:-1], revision=asked.revision)
        begin = part.stat().st_size
        headers = build_hf_headers() | {"Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = f"bytes={begin}-"
        with get_session().stream("GET", url, headers=headers) as response, part.open("ab") as sink:
            hf_raise_for_status(response)
            if begin and response.status_code != httpx2.codes.PARTIAL_CONTENT:
                progress(-begin)  # the server starts over
                sink.truncate(0)
            # As the pieces come: a larger chunk would be lost whole with the connection.
            for chunk in response.iter_bytes():
                sink.write(chunk)
                progress(len(chunk))
            sink.flush()
            os.fsync(sink.fileno())
        size = part.stat().st_size
        if size > file.size:
            part.unlink()
            raise FetchError(f"{asked}: the server sent {size} bytes of a file of {file.size}", step="try again later")
        if size < file.size:
            raise httpx2.RemoteProtocolError(f"the connection ended after {size} of {file.size} bytes")

    def _patiently(self, action: Callable[[], T], asked: Asked, received: Callable[[], int] = lambda: 0) -> T:
        """Do `action`, again after what may pass; each wait is twice the last, and getting further starts anew."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError

        failures, before = 0, received()
        while True:
            wait = self._patience.backoff_seconds * 2**failures
            try:
                return action()
            except HfHubHTTPError as error:
                if error.response.status_code not in RETRIED_STATUS or failures >= self._patience.retries:
                    raise explained(error, asked) from error
                wait = max(wait, _retry_after(error.response))
                trouble: Exception = error
            except httpx2.TransportError as error:
                if failures >= self._patience.retries:
                    raise unreachable(error, asked, failures + 1) from error
                trouble = error
            except OSError as error:
                raise disk_problem(error, asked) from error
            except ValueError as error:  # no JSON, or a name the hub could not have
                step = "check HF_ENDPOINT, the network's sign-in page, and the name in the suite"
                raise FetchError(f"{asked}: {asked.endpoint} does not answer as a hub: {error}", step=step) from error
            if (now := received()) > before:
                failures, before = 0, now
            else:
                failures += 1
            wait = min(wait, LONGEST_WAIT_SECONDS)
            what = str(trouble).strip().splitlines() or [type(trouble).__name__]
            self._say(f"  {asked}: {what[0]}; trying again in {wait:.0f} s")
            time.sleep(wait)


def part_of(target: Path) -> Path:
    """Return where a file is while it is not whole."""
    return target.with_name(f"{target.name}.part")


def git_blob_sha1(path: Path) -> str:
    """Return the hash git gives a file's content, which the hub lists for files it does not keep as large ones."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and "\\" not in path and pure.as_posix() == path


def _retry_after(response: httpx2.Response) -> float:
    """Return the seconds the server asks to wait: `Retry-After`, or the hub's own `ratelimit: "api";r=0;t=120`."""
    told = response.headers.get("Retry-After", "")
    limited = re.search(r"\bt=(\d+)", response.headers.get("ratelimit", "")) if response.status_code == 429 else None
    return float(told) if told.isdigit() else float(limited[1]) if limited else 0.0


HUB_TIMEOUT_SECONDS = 10


def hub_problem() -> str | None:
    """Return why the Hugging Face hub cannot be asked, or None where it answers (with whatever status)."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    if not endpoint.startswith(("http://", "https://")):
        return f"HF_ENDPOINT is {endpoint!r}, which is no http address"
    request = urllib.request.Request(f"{endpoint}/api/models?limit=1", method="HEAD")  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=HUB_TIMEOUT_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError:
        return None  # it answers; what it thinks of this address is no matter
    except (OSError, ValueError) as error:
        return f"{endpoint} cannot be reached ({getattr(error, 'reason', error)})"
