"""`grace serve`: a candidate as an OpenAI-compatible `/v1/embeddings` endpoint."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from grace.cli.options import (
    CandidateArgument,
    NoCacheOption,
    PromptOption,
    SeedOption,
    SetOption,
    find,
    load_quietly,
)
from grace.serve.settings import Limits, Settings
from grace.serve.waiting import Waiting
from grace.serve.worker import Model, Worker
from harness.candidates.candidate import Candidate
from harness.cli.options import HubOption, OfflineOption
from harness.environment import is_installed
from harness.errors import EnvironmentGapError, InputError
from harness.wording import listing

PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
TOKEN_VARIABLE = "GRACE_SERVE_TOKEN"  # noqa: S105 - the variable's name
OWN_MACHINE = ("127.0.0.1", "localhost", "::1")
USUAL = Limits()


def serve(
    candidate: CandidateArgument,
    override: SetOption = None,
    host: Annotated[str, typer.Option("--host", help="Where to listen; 0.0.0.0: on every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8080,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="What requests call the model [the candidate's]; may repeat.")
    ] = None,
    prompt: PromptOption = None,
    role: Annotated[
        Literal["query", "document"] | None,
        typer.Option("--role", help="What texts are where a request does not say."),
    ] = None,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Bring vectors to length 1; else they are as `grace encode` gives them.")
    ] = False,
    refuse_long: Annotated[
        bool,
        typer.Option("--refuse-long", help="Refuse texts beyond the model's window; else cut and mark them."),
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help=f"Requests must carry this token [${TOKEN_VARIABLE}]."),
    ] = None,
    seed: SeedOption = 0,
    hub: HubOption = None,
    offline: OfflineOption = False,
    no_cache: NoCacheOption = False,
    most_requests: Annotated[
        int, typer.Option("--most-requests", min=1, help="Under way at a time; more are told to come again.")
    ] = USUAL.requests,
    most_texts: Annotated[int, typer.Option("--most-texts", min=1, help="Of a request.")] = USUAL.texts,
    most_characters: Annotated[int, typer.Option("--most-characters", min=1, help="Of a text.")] = USUAL.characters,
    most_bytes: Annotated[int, typer.Option("--most-bytes", min=64, help="Of a request's body.")] = USUAL.body_bytes,
    batch_tokens: Annotated[
        int, typer.Option("--batch-tokens", min=1, help="Tokens that requests embed together.")
    ] = USUAL.batch_tokens,
    window_ms: Annotated[
        float, typer.Option("--window-ms", min=0, max=60000, help="How long a request waits for others.")
    ] = USUAL.window_seconds * 1000,
    drain: Annotated[
        float, typer.Option("--drain", min=0, help="Seconds in which what is under way is answered at the end.")
    ] = USUAL.drain_seconds,
) -> None:
    """Serve a candidate as an OpenAI-compatible /v1/embeddings endpoint, with its rationales on request."""
    _check_packages()
    limits = Limits(
        requests=most_requests,
        body_bytes=most_bytes,
        texts=most_texts,
        characters=most_characters,
        batch_tokens=batch_tokens,
        window_seconds=window_ms / 1000,
        drain_seconds=drain,
    )
    token = _token(token_file)
    if name and not all(one.strip() for one in name):
        raise InputError(["--name '': no request can call a model by it; give a name, or none for the candidate's"])
    found = find(candidate, override, hub, offline)
    settings = Settings(
        names=tuple(dict.fromkeys(name or [found.name])),
        prompt=prompt,
        role=role,
        is_normalised=normalise,
        refuses_long=refuse_long,
        token=token,
        limits=limits,
    )
    if token is None and host not in OWN_MACHINE:
        print(f"--host {host} without a token: whoever reaches this machine may ask; see --token-file", file=sys.stderr)
    waiting = Waiting()
    worker = Worker(lambda: load_quietly(found, seed=seed, use_cache=not no_cache), settings, waiting)
    raise typer.Exit(_run(found, settings, worker, waiting, address=(host, port)))


def _run(found: Candidate, settings: Settings, worker: Worker, waiting: Waiting, *, address: tuple[str, int]) -> int:
    from grace.serve.app import Service
    from grace.serve.server import listening, serve

    def about(model: Model) -> dict[str, Any]:
        described = model.encoder.describe()
        return {"fingerprint": found.fingerprint(), "max_text_tokens": described.get("max_text_tokens")}

    service = Service(settings, worker, waiting, about)
    return int(serve(service, worker, listening(*address), lambda line: print(line, file=sys.stderr, flush=True)))


def _check_packages() -> None:
    lacking = [package for package in PACKAGES if not is_installed(package)]
    if lacking:
        gap = f"grace serve needs packages that are not installed ({listing(lacking)}): "
        raise EnvironmentGapError([f"{gap}pip install 'encoder-verdict[serve]'"])


def _token(file: Path | None) -> str | None:
    """Return the token of a file, or of the environment; None where neither names one.

    Raises:
        InputError: the file cannot be read, or what was named holds no token.
    """
    if file is None:
        given, where = os.environ.get(TOKEN_VARIABLE), f"${TOKEN_VARIABLE}"
        if given is None:
            return None
    else:
        where = f"--token-file {file}"
        try:
            given = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError([f"{where}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from error
    token = given.strip()
    if not token or not token.isascii() or any(character.isspace() for character in token):
        raise InputError([f"{where}: expected one token of ASCII characters without spaces, as a header carries it"])
    return token
