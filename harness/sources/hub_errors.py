"""What can go wrong with the hub, in words for the user: why, and the next step; no traceback for any of it."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Literal

from harness.errors import EnvironmentGapError

Scope = Literal["repository", "everything"]


class FetchError(EnvironmentGapError):
    """A repository or file cannot be had; says why and what to do."""

    def __init__(self, why: str, *, step: str, scope: Scope = "repository") -> None:
        """Keep the reason, the next step, and whether anything else can be expected to work."""
        self.why = why
        self.step = step
        self.scope = scope
        super().__init__([f"{why}\n    next: {step}"])


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request was about, for messages."""

    kind: str
    repo: str
    revision: str | None
    endpoint: str
    path: str | None = None

    def __str__(self) -> str:
        return f"{self.kind[:-1]} {self.repo}" + (f", {self.path}" if self.path else "")

    @property
    def page(self) -> str:
        """Where people look at the repository."""
        return f"{self.endpoint}/{'datasets/' if self.kind == 'datasets' else ''}{self.repo}"


def explained(error: Exception, asked: Asked) -> FetchError:
    """Return what an HTTP error of the hub means for the user, and the next step."""
    from huggingface_hub import errors

    login = "`hf auth login` or set HF_TOKEN"
    if isinstance(error, errors.GatedRepoError):
        step = f"accept the licence at {asked.page}, then {login}, and run it again"
        return FetchError(f"{asked}: gated: its owners want their terms accepted first", step=step)
    if isinstance(error, errors.RevisionNotFoundError):
        step = f"look at {asked.page}/commits, and correct `revision` in the suite"
        return FetchError(f"{asked}: the repository has no revision {asked.revision!r}", step=step)
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return FetchError(f"{asked}: listed by the server, and not found there", step="try again later")
    if isinstance(error, errors.RepositoryNotFoundError):
        step = f"check the name at {asked.page}; if it is private, {login}"
        return FetchError(f"{asked}: the hub has no such {asked.kind[:-1]} repository, or it is private", step=step)
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
    if status in (401, 403):
        return FetchError(f"{asked}: the hub refuses (HTTP {status})", step=f"{login}; check what the token may read")
    return FetchError(f"{asked}: the hub answers with HTTP {status}, and kept doing so", step="try again later")


def unreachable(error: Exception, asked: Asked, attempts: int) -> FetchError:
    """Return the error of a connection that was refused, cut or silent so many times."""
    import httpx2

    slow = isinstance(error, httpx2.TimeoutException)
    what = "does not answer in time" if slow else "breaks the connection or cannot be reached"
    step = "check the network (HTTPS_PROXY, HF_ENDPOINT) and run the same command again: it goes on where it stopped"
    if slow:
        step += "; --timeout SECONDS waits longer"
    why = (
        f"{asked}: {asked.endpoint} {what}: {str(error) or type(error).__name__} ({attempts} attempts without progress)"
    )
    return FetchError(why, step=step, scope="everything")


def disk_problem(error: OSError, asked: Asked) -> FetchError:
    """Return the error of a file that could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else f"cannot be written: {error}"
    step = "make room" if full else "check that the folder of --hub can be written"
    return FetchError(
        f"{asked}: {why}", step=f"{step}, and run it again: it goes on where it stopped", scope="everything"
    )
