"""A headless Chromium driven over its DevTools pipe (file descriptors 3 and 4, messages end in NUL): no port.

Chromium comes from the system (`apt-get install chromium`); `.ci/run` installs it. Without it tests are skipped, but
not where CI=true.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DEADLINE_SECONDS = 30
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # CI runs as root, where Chromium has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--remote-debugging-pipe",
)


def executable() -> str:
    """Return Chromium's path; skips the test without one, and fails it in CI."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed, and with CI=true nothing is skipped")
        pytest.skip("chromium is not installed (`apt-get install chromium`)")
    return found


class Page:
    """One tab."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        """Open a tab over the pipe's two ends and listen to its console and its requests."""
        self._to, self._from = to_browser, from_browser
        self._buffer = b""
        self._next = 0
        self._session: str | None = None
        self.console: list[str] = []
        """Errors, warnings and exceptions."""
        self.requests: list[str] = []
        """URLs that were asked for, blocked ones too."""
        self.dialogs: list[str] = []
        """What a page said with alert and the like."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come in between are noted."""
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + DEADLINE_SECONDS
        while True:
            answer = self._read(until)
            if answer.get("id") == self._next:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def open(
        self, path: Path, *, width: int = 1400, height: int = 900, dark: bool = False, scripts: bool = True
    ) -> None:
        """Load a file and wait until it is there."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=path.resolve().as_uri())
        until = time.monotonic() + DEADLINE_SECONDS
        while self.evaluate("document.readyState + location.href") != f"complete{path.resolve().as_uri()}":
            if time.monotonic() > until:
                raise TimeoutError(f"{path} does not load")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page, promises awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression[:80]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is to be seen, or the whole page, as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, path: Path) -> None:
        """Print to a file."""
        answer = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _read(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("no answer from chromium")
            got = os.read(self._from, 1 << 20)
            if not got:
                raise RuntimeError("chromium has ended")
            self._buffer += got
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        method = event.get("method")
        if method == "Runtime.exceptionThrown":
            self.console.append(str(about["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.console.append(str(about["args"]))
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.console.append(about["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(about["message"])


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Yield a tab of a fresh Chromium whose profile is the empty folder `profile`."""
    command = executable()
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()

    def hand_over() -> None:
        # The descriptors may be 3 or 4 themselves: away first, then into place.
        first, second = os.dup(to_read), os.dup(from_write)
        high = [os.dup2(first, 100), os.dup2(second, 101)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    process = subprocess.Popen(
        [command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        preexec_fn=hand_over,  # noqa: PLW1509 - the child alone; descriptors 3 and 4 are the protocol
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(from_write)
    try:
        yield Page(to_write, from_read)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to_write)
        os.close(from_read)


def column(page: Page, place: int) -> list[str]:
    """Return the visible cells' sort values (or texts) of a column of the large table."""
    cells = f"[...document.querySelectorAll('#task-table tbody tr:not([hidden])')].map(row => row.cells[{place}])"
    found: list[str] = page.evaluate(f"{cells}.map(cell => cell.dataset.v ?? cell.textContent.trim())")
    return found


def click(page: Page, place: int) -> None:
    """Click the heading of a column."""
    page.evaluate(f"document.querySelectorAll('#task-table thead button')[{place}].click()")


def choose(page: Page, name: str, value: str) -> None:
    """Type or choose in a control of the large table."""
    page.evaluate(
        f"(() => {{ const one = document.querySelector('[data-filter={name}]'); one.value = {value!r};"
        " one.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
