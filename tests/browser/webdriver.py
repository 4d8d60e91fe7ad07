# SPDX-License-Identifier: GPL-2.0-or-later
"""A browser under control: headless Chromium by way of chromedriver and the WebDriver protocol.

    with Browser() as browser:
        browser.open(path)
        browser.wait("document.title")

Nothing but the standard library. Conditions are waited for inside of the browser, frame by frame.
"""

import base64
import ctypes
import http.client
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

TIMEOUT = 300  # seconds until a page or the browser is taken to hang
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that the protocol has for a reference to an element

KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008", "PageUp": "\ue00e", "PageDown": "\ue00f", "End": "\ue010",
        "Home": "\ue011", "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015",
        "Control": "\ue009", "Escape": "\ue00c", "Backspace": "\ue003"}

WAIT = """
const [condition, args, seconds, done] = arguments;
const test = new Function(...Object.keys(args), "return (" + condition + ")");
const end = performance.now() + 1000 * seconds;
const look = () => {
    const value = test(...Object.values(args));
    if (value || performance.now() > end) { done(value || null); } else { setTimeout(look, 5); }
};
look();
"""


class BrowserError(Exception):
    """What chromedriver says went wrong."""


def chromium():
    return shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")


def available():
    return bool(chromium() and shutil.which("chromedriver"))


def end_with_parent():
    """In the child: it is not left behind by a test that is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Driver:
    """A chromedriver process. It says itself which port it has got."""

    def __init__(self, folder):
        environment = dict(os.environ, HOME=str(folder), XDG_CONFIG_HOME=str(folder), XDG_CACHE_HOME=str(folder))
        self.process = subprocess.Popen(["chromedriver", "--port=0", f"--log-path={folder}/chromedriver.log"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
                                        start_new_session=True, preexec_fn=end_with_parent)
        for line in self.process.stdout:
            if "started successfully on port" in line:
                self.port = int(line.rsplit(" ", 1)[1].rstrip(".\n"))
                return
        raise BrowserError("chromedriver does not start")

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3 * TIMEOUT)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise BrowserError(f"{answer['error']}: {answer['message']}")
        return answer

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)  # a session of its own: chromedriver and its browser
        self.process.wait()
        self.process.stdout.close()


class Browser:
    def __init__(self, folder, width=1280, height=900, arguments=()):
        self.folder = Path(folder)
        self.driver = Driver(folder)
        # over a pipe, so that the browser ends when chromedriver does, however that comes about
        options = {
            "binary": chromium(),
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                     "--force-color-profile=srgb", "--remote-debugging-pipe", f"--user-data-dir={folder}/profile",
                     f"--window-size={width},{height}", *arguments],
        }
        capabilities = {"alwaysMatch": {"goog:chromeOptions": options, "unhandledPromptBehavior": "ignore",
                                        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}
        try:
            self.session = "/session/" + self.driver.call("POST", "/session", {"capabilities": capabilities})["sessionId"]
            self.call("POST", "/timeouts", {"script": 1000 * 2 * TIMEOUT, "pageLoad": 1000 * 2 * TIMEOUT})
        except BaseException:
            self.driver.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.stop()

    def call(self, method, path, body=None):
        return self.driver.call(method, self.session + path, body)

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path):
        self.call("POST", "/url", {"url": Path(path).resolve().as_uri()})

    def run(self, script, *args):
        """The value of a JavaScript expression."""
        return self.call("POST", "/execute/sync", {"script": "return (" + script + ")", "args": list(args)})

    def wait(self, condition, **args):
        """Waits until a JavaScript expression is true, and returns its value."""
        value = self.call("POST", "/execute/async", {"script": WAIT, "args": [condition, args, TIMEOUT]})
        if value is None:
            raise AssertionError(f"never came true: {condition}")
        return value

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        element = self.find(selector)
        self.call("POST", f"/element/{element}/clear", {})
        self.call("POST", f"/element/{element}/value", {"text": text})

    def press(self, *keys):
        """Keys on whatever has the focus."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self.act({"type": "key", "id": "keyboard", "actions": actions})

    def act(self, *sources):
        self.call("POST", "/actions", {"actions": list(sources)})

    def point(self, selector, x, y, *more):
        """Moves the pointer to a place in an element, counted from its top left corner; @more are further actions."""
        box = self.run("(() => { const b = document.querySelector(arguments[0]).getBoundingClientRect();"
                       " return [b.left, b.top]; })()".replace("arguments[0]", json.dumps(selector)))
        move = {"type": "pointerMove", "duration": 0, "x": round(box[0] + x), "y": round(box[1] + y)}
        self.act({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [move, *more]})

    def press_pointer(self, selector, x, y):
        self.point(selector, x, y, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def wheel(self, selector, x, y, by):
        origin = {ELEMENT: self.find(selector)}
        width, height = self.run(f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
                                 ".getBoundingClientRect(); return [b.width, b.height]; })()")
        self.act({"type": "wheel", "id": "wheel", "actions": [
            {"type": "scroll", "origin": origin, "x": round(x - width / 2), "y": round(y - height / 2), "deltaX": 0,
             "deltaY": by, "duration": 0}]})

    def count_work(self):
        """From now on, and also on pages that are opened later, the work of scripts is counted: see work_done()."""
        self.devtools("Profiler.enable")
        self.devtools("Profiler.startPreciseCoverage", callCount=True, detailed=True)

    def work_done(self):
        """How often functions and their branches and loops were run since the last call: the same on a busy machine."""
        scripts = self.devtools("Profiler.takePreciseCoverage")["result"]
        return sum(part["count"] for script in scripts for function in script["functions"] for part in function["ranges"])

    def stop_counting(self):
        self.devtools("Profiler.stopPreciseCoverage")
        self.devtools("Profiler.disable")

    def logs(self, kind):
        return self.call("POST", "/se/log", {"type": kind})

    def requests(self):
        """The addresses of everything that was asked of the network or of the disk since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.logs("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def prefer(self, scheme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def resize(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=False)

    def screenshot(self, path, whole=False):
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path):
        Path(path).write_bytes(base64.b64decode(self.devtools("Page.printToPDF", printBackground=True)["data"]))
