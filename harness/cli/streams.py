"""Standard output and error of a command, whatever stands at their other end: another encoding, nobody, a full disk."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from harness.errors import EnvironmentGapError
from harness.writing import in_words

JSON_ESCAPES = "harness.json"
"""Name of the error handler that escapes characters as JSON does."""


class Patient:
    """A stream whose reader may leave: what is written after that goes nowhere, and the exit code stays what it was."""

    def __init__(self, stream: TextIO, *, must_arrive: bool) -> None:
        """Write to `stream`; where `must_arrive`, an error other than a reader who left is the user's to know."""
        self._stream = stream
        self._must_arrive = must_arrive
        self.failure: EnvironmentGapError | None = None
        """Why what must arrive did not; kept, since who writes may have no ear for it."""

    def write(self, text: str) -> int:
        """Write `text`; returns its length."""
        with self._forgiven():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        with self._forgiven():
            self._stream.flush()

    def writelines(self, lines: Any) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Return what the stream itself has."""
        return getattr(self._stream, name)

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._to_nowhere()
        except OSError as error:
            self._to_nowhere()
            if self._must_arrive:
                self.failure = EnvironmentGapError([f"standard output cannot be written ({in_words(error)})"])
                raise self.failure from error

    def _to_nowhere(self) -> None:
        with suppress(OSError, ValueError):  # what is held back would fail again when the interpreter ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def settled_streams() -> Iterator[Patient]:
    """Have both streams show what they cannot encode as escapes, and bear a reader who leaves; yields the output."""
    before = sys.stdout, sys.stderr
    patient = []
    for stream, must_arrive in zip(before, (True, False), strict=True):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        patient.append(Patient(stream or io.StringIO(), must_arrive=must_arrive))  # none where it is closed
    sys.stdout, sys.stderr = cast(list[TextIO], patient)
    try:
        yield patient[0]
    finally:
        sys.stdout, sys.stderr = before


def json_for_output(text: str) -> str:
    """Return JSON text with what standard output cannot encode in JSON's own escapes, so that it stays JSON."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, JSON_ESCAPES).decode(encoding)


def _as_json(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end


codecs.register_error(JSON_ESCAPES, _as_json)
