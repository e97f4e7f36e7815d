"""A headless Chromium, driven over its DevTools protocol through a pair of pipes: no driver, no port, no package."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 30.0
PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--no-sandbox", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--no-default-browser-check", "--force-color-profile=srgb",
)  # fmt: skip

_BEGIN = """
import fcntl, os, sys
high = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, given in enumerate(high, 3):
    os.dup2(given, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""It expects its pipes as 3 and 4."""


class Navigated(Exception):
    """The page went elsewhere while it was asked something."""


class Chromium:
    """A running browser."""

    def __init__(self, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()  # it reads from ours[0], and writes to theirs[1]
        self._read, self._write = theirs[0], ours[1]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _BEGIN, str(ours[0]), str(theirs[1]), str(PROGRAM), *_FLAGS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(ours[0], theirs[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        self._buffer, self._number = b"", 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Send a command and return its result; events met on the way are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._write, rest) :]
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer and "navigated" in answer["error"]["message"]:
            raise Navigated(method)
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        return answer["result"]

    def pump(self, duration_s: float) -> None:
        """Take events for a while."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            if b"\0" in self._buffer or select.select([self._read], [], [], left_s)[0]:
                self.events.append(self._next())

    def _next(self) -> Any:
        end_s = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], max(0.0, end_s - time.monotonic()))[0], "Chromium is silent"
            part = os.read(self._read, 1 << 20)
            assert part, f"Chromium ended with {self._process.poll()}"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def close(self) -> None:
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def page(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[Page]:
        """Open an address in a window of this size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.call("Emulation.setEmulatedMedia", features=features)
        page.open(url)
        try:
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)


@dataclass
class Page:
    """One open page."""

    browser: Chromium
    session: str
    url: str = field(default="")

    def call(self, method: str, **params: Any) -> Any:
        return self.browser.call(method, self.session, **params)

    def open(self, url: str) -> None:
        """Go there and wait until it is loaded."""
        self.url, before = url, len(self.events("Page.loadEventFired"))
        self.call("Page.navigate", url=url)
        self.until(lambda: len(self.events("Page.loadEventFired")) > before)

    def events(self, method: str) -> list[dict[str, Any]]:
        return [
            event["params"]
            for event in self.browser.events
            if event.get("method") == method and event.get("sessionId") == self.session
        ]

    def until(self, claim: Any) -> None:
        """Wait until something is so."""
        end_s = time.monotonic() + PATIENCE_S
        while not claim():
            assert time.monotonic() < end_s, "it did not come to pass"
            self.browser.pump(0.05)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def has_come(self, expression: str) -> None:
        """Wait until an expression is true, on whichever page is there by then."""

        def is_true() -> bool:
            try:
                return bool(self.ask(f"(() => {{ try {{ return {expression}; }} catch {{ return false; }} }})()"))
            except Navigated:
                return False

        self.until(is_true)

    def press(self, key: str) -> None:
        """Press a key, as `Tab` or `Enter`."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=codes[key], **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=codes[key])

    def complaints(self) -> list[str]:
        """What stands in the console: errors, warnings, refusals of the content policy."""
        said = [str(event["args"]) for event in self.events("Runtime.consoleAPICalled")]
        thrown = [str(event["exceptionDetails"]) for event in self.events("Runtime.exceptionThrown")]
        return [*said, *thrown, *(event["entry"]["text"] for event in self.events("Log.entryAdded"))]

    def requested(self) -> list[str]:
        """Every address that was asked for."""
        return [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]

    def screenshot(self, path: Path) -> None:
        """The whole page, however long."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def overflow_px(self) -> int:
        """How far the page can be moved sideways."""
        root = "document.scrollingElement"
        return int(self.ask(f"{root}.scrollWidth - {root}.clientWidth"))

    def faint_texts(self) -> list[str]:
        """Texts whose contrast with what lies behind them is below 4.5 to 1."""
        return list(self.ask(_FAINT))


_FAINT = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const light = ([r, g, b]) => {
    const part = (value) => { value /= 255; return value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4; };
    return .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor); if (color[3] > .99) return color;
    }
    return rgba("white");
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("style, script, title, desc, option")) continue;
    const style = getComputedStyle(element);
    const front = light(rgba(element.closest("svg") ? style.fill : style.color)), back = light(behind(element));
    const contrast = (Math.max(front, back) + .05) / (Math.min(front, back) + .05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${text}`);
  }
  return faint;
})()
"""
