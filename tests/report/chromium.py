"""Chromium without a window, driven over its DevTools protocol with real keys and clicks."""

import asyncio
import base64
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.websocket import websocket_connect

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_PATIENCE = 30.0
"""For what a busy machine does late (s)."""
_KEYS = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
_TEXT = {"Enter": "\r"}


@contextmanager
def running(program: str, folder: Path) -> Iterator["Browser"]:
    """Start a browser that keeps what it must in a folder, and end it."""
    command = [program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    loop = asyncio.new_event_loop()
    try:
        told = folder / "DevToolsActivePort"
        _wait(lambda: told.exists() and "\n" in told.read_text(), "a port of the browser")
        yield Browser(int(told.read_text().split()[0]), loop)
    finally:
        process.terminate()
        process.wait()
        loop.close()


class Browser:
    """Where pages are opened."""

    def __init__(self, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self._port = port
        self._loop = loop

    def open(self, path: Path, *, width: int, height: int = 900) -> "Page":
        """Open a file in a window of this size (px)."""
        ask = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new", method="PUT")
        with urllib.request.urlopen(ask, timeout=_PATIENCE) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        page = Page(address, self._loop)
        page.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        page.tell("Page.navigate", url=path.as_uri())
        return page


class Page:
    """One page, as somebody before it would use it."""

    def __init__(self, address: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._socket: Any = loop.run_until_complete(self._connect(address))
        self._number = 0

    @staticmethod
    async def _connect(address: str) -> Any:
        return await websocket_connect(address)

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the protocol and return what comes back."""
        self._number += 1
        return self._loop.run_until_complete(
            asyncio.wait_for(self._exchange(self._number, method, params), _PATIENCE)
        )

    async def _exchange(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await self._socket.write_message(
            json.dumps({"id": number, "method": method, "params": params})
        )
        while True:
            answer = json.loads(await self._socket.read_message())
            if answer.get("id") == number:  # else an event
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        found = self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        _wait(lambda: self.evaluate(expression), expression)

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        code = _KEYS.get(key, ord(key[0].upper()))
        text = _TEXT.get(key, key if len(key) == 1 else "")
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.tell("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **event)

    def click(self, x: float, y: float) -> None:
        """Click at a place of the window (px)."""
        place = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self.tell("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.tell("Input.dispatchMouseEvent", type="mousePressed", **place)
        self.tell("Input.dispatchMouseEvent", type="mouseReleased", **place)

    def screenshot(self, path: Path) -> None:
        """Write the whole page, also what lies below the window, as PNG."""
        found = self.tell("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """Close the page."""
        self.tell("Page.close")
        self._socket.close()


def _wait(ready: Any, what: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        assert time.monotonic() < end, f"waited {_PATIENCE:g} s for {what}"
        time.sleep(0.05)
