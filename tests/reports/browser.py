"""Headless Chromium, driven over its DevTools pipe: nothing but the browser itself is needed.

Messages are JSON documents that end with a zero byte; the browser reads them from its file descriptor 3 and answers on 4
(Chrome DevTools Protocol, `--remote-debugging-pipe`).
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time

SECONDS = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe")
REDIRECT = """
import fcntl, os, sys
down, up = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(down, 3)
os.dup2(up, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Becomes the command of its further arguments, whose descriptors 3 and 4 are those of its first two."""
EVENTS = ("Network.requestWillBeSent", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


def browser_path():
    """Where Chromium is, None where it is not."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a headless browser; `events` are those of EVENTS since the last page was opened."""

    def __init__(self, profile):
        down, self.write_to = os.pipe()
        self.read_from, up = os.pipe()
        command = [browser_path(), *SWITCHES, f"--user-data-dir={profile}", "about:blank"]
        redirected = [sys.executable, "-c", REDIRECT, str(down), str(up), *command]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(redirected, pass_fds=(down, up), **quiet)
        os.close(down)
        os.close(up)
        self.rest, self.number, self.session, self.events = b"", 0, None, []
        target = next(one for one in self.ask("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def close(self):
        """Ends the browser and waits for it."""
        self.send("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.write_to)
        os.close(self.read_from)

    def send(self, method, **parameters):
        """Sends a command and gives its number."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session and not method.startswith("Browser."):
            message["sessionId"] = self.session
        os.write(self.write_to, json.dumps(message).encode() + b"\0")
        return self.number

    def ask(self, method, **parameters):
        """Sends a command and gives what it answers."""
        number = self.send(method, **parameters)
        while (message := self.receive()).get("id") != number:
            pass
        assert "error" not in message, f"{method}: {message['error']}"
        return message["result"]

    def receive(self):
        """The next message."""
        until = time.monotonic() + SECONDS
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.read_from], [], [], max(0.0, until - time.monotonic()))
            chunk = os.read(self.read_from, 1 << 20) if ready else b""
            if not chunk:
                raise TimeoutError("the browser does not answer")
            self.rest += chunk
        text, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(text)
        if message.get("method") in EVENTS:
            self.events.append(message)
        return message

    def open(self, path, *, width, height=900, scheme="light"):
        """Loads a file in a window of `width` CSS pixels, under a light or dark colour scheme."""
        self.events = []
        self.ask("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700)
        self.ask("Page.navigate", url=path.resolve().as_uri())
        while self.receive().get("method") != "Page.loadEventFired":
            pass

    def value(self, script):
        """What a script in the page gives."""
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key, code):
        """Presses and releases a key where the focus is."""
        text = {"Enter": "\r", " ": " "}.get(key)
        named = {"key": key, "windowsVirtualKeyCode": code}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **named, **({"text": text} if text else {}))
        self.ask("Input.dispatchKeyEvent", type="keyUp", **named)

    def print_to(self, path):
        """Prints the page to an A4 PDF."""
        printed = self.ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        path.write_bytes(base64.b64decode(printed["data"]))

    def shoot(self, path):
        """A picture of the whole page."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
