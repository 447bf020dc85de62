"""A real Chromium, and the page as a person has it: by names and roles, not by classes."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chromium.remote_connection import ChromiumRemoteConnection
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.file_detector import UselessFileDetector
from selenium.webdriver.remote.webdriver import WebDriver

import stack as stacks

# Elements of a kind that can be seen and have this name. It is the name that screen readers get
# (test_access.py asks the browser whether it is), found without a request for each element.
FIND = """
const [kind, wanted, begins, root] = arguments;
const selector = {
	button: 'button, [role=button]', link: 'a[href]', dialog: 'dialog[open], [role=dialog]',
	field: 'input:not([type=checkbox], [type=radio]), textarea, select',
	check: 'input[type=checkbox], input[type=radio]', heading: 'h1, h2, h3',
}[kind];
const text = (e) => e.textContent.trim().replace(/\\s+/g, ' ');
const by = (e) => document.getElementById(e.getAttribute('aria-labelledby'));
const name = (e) => e.getAttribute('aria-label') ?? text(by(e) ?? e.labels?.[0] ?? e);
return [...(root ?? document).querySelectorAll(selector)].filter((e) =>
	e.checkVisibility({ visibilityProperty: true }) &&
	(begins ? name(e).startsWith(wanted) : name(e) === wanted));
"""

# In each page before its own scripts: notes what it sends and what is wrong. A test may have it
# send a token that is refused, or believe that tokens live shorter than they do.
HOOK = """{
self.tc = { sent: [], violations: [], shift: 0, spoil: 0, life: 0 };
document.addEventListener('securitypolicyviolation', (event) =>
	tc.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
new PerformanceObserver((list) => {
	for (const entry of list.getEntries()) if (!entry.hadRecentInput) tc.shift += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
const original = self.fetch;
self.fetch = async function (url, options = {}) {
	const headers = new Headers(options.headers);
	const given = headers.get('authorization');
	if (given && tc.spoil) {
		tc.spoil--;
		headers.set('authorization', `${given}x`);
	}
	const entry = {
		at: Date.now(), path: new URL(url, location).pathname, authorization: given,
		method: options.method ?? 'GET', key: headers.get('idempotency-key'),
		match: headers.get('if-match'),
	};
	tc.sent.push(entry);
	const response = await original(url, { ...options, headers });
	entry.status = response.status;
	const gives = response.ok && /auth\\/(login|refresh|register)$/.test(entry.path);
	if (!tc.life || !gives) return response;
	const body = await response.json();
	return Response.json({ ...body, expires_in: tc.life }, { status: response.status });
};
}"""

# The service worker fetches all files anew, for which most tests need not wait.
NO_WORKER = """if (self.ServiceWorkerContainer) {
	ServiceWorkerContainer.prototype.register = async () => null;
}"""


def may_have_sandbox():
    """Containers often allow no namespaces of one's own, and then there is no sandbox."""
    return subprocess.run(["unshare", "-Ur", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


class Browser:
    """One process for a whole run; `fresh` makes it forget all that a test has left."""

    def __init__(self, directory):
        directory.mkdir()
        self.log = directory / "driver.log"
        self.driver = None
        port = stacks.free_port()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [shutil.which("chromedriver"), f"--port={port}"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=stacks.die_with_parent,
                env={**os.environ, "HOME": str(directory), "TMPDIR": str(directory),
                     "LANG": "C.UTF-8", "TZ": "UTC"},
            )
        url = f"http://127.0.0.1:{port}"
        stacks.wait_for("chromedriver", lambda: self.listens(url), 60)
        connection = ChromiumRemoteConnection(url, "goog", "chrome")
        self.driver = WebDriver(connection, options=self.options(directory))
        self.driver.file_detector = UselessFileDetector()  # the files are on this machine
        self.first = self.driver.current_window_handle

    @staticmethod
    def options(directory):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in (
            "--headless=new", f"--user-data-dir={directory}/profile", "--disable-dev-shm-usage",
            "--disable-gpu", "--lang=en-US", "--window-size=1280,800", "--hide-scrollbars=false",
            "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
            "--disable-backgrounding-occluded-windows", "--no-first-run", "--disable-extensions",
            "--disable-component-update", "--disable-background-networking", "--disable-sync",
            "--disable-features=Translate,OptimizationHints,MediaRouter",
            *([] if may_have_sandbox() else ["--no-sandbox"]),
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.add_experimental_option("prefs", {
            "credentials_enable_service": False, "profile.password_manager_leak_detection": False,
            "download.default_directory": str(directory / "downloads"),
        })
        return options

    @staticmethod
    def listens(url):
        try:
            return json.load(urllib.request.urlopen(f"{url}/status", timeout=5))["value"]["ready"]
        except OSError:
            return False

    def stop(self):
        """Chromium's processes are in sessions of their own only for its crash handler."""
        try:
            if self.driver:
                self.driver.quit()
        finally:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)

    def cdp(self, command, **parameters):
        done = self.driver.execute("executeCdpCommand", {"cmd": command, "params": parameters})
        return done["value"]

    def fresh(self, origin):
        for handle in self.driver.window_handles:
            if handle != self.first:
                self.driver.switch_to.window(handle)
                self.driver.close()
        self.driver.switch_to.window(self.first)
        self.driver.get("about:blank")
        self.cdp("Network.enable")
        self.cdp("Storage.clearDataForOrigin", origin=origin, storageTypes="all")
        self.cdp("Network.clearBrowserCookies")
        self.network(offline=False)
        self.cdp("Emulation.setEmulatedMedia", media="", features=[])
        self.cdp("Emulation.clearDeviceMetricsOverride")
        self.driver.get_log("browser")
        self.driver.get_log("performance")

    def network(self, offline):
        self.cdp("Network.emulateNetworkConditions", offline=offline, latency=0,
                 downloadThroughput=-1, uploadThroughput=-1)


class Page:
    """One window. All that is done goes to it, whichever had the turn before."""

    SECONDS = int(os.environ.get('TC_SECONDS', 20))

    def __init__(self, browser, url, handle=None, worker=False):
        self.browser = browser
        self.driver = browser.driver
        self.url = url  # of the page, with the / at its end
        self.handle = handle or browser.first
        self.expected = []  # of the console, what a test has asked for
        self.turn()
        self.worker = worker
        self.hook = browser.cdp("Page.addScriptToEvaluateOnNewDocument",
                                source=HOOK if worker else HOOK + NO_WORKER)["identifier"]

    def close(self):
        self.turn()
        self.browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=self.hook)

    def turn(self):
        if self.driver.current_window_handle != self.handle:
            self.driver.switch_to.window(self.handle)

    def another(self):
        """A second window of the same browser: same cookies, same stores."""
        self.driver.switch_to.new_window("window")
        return Page(self.browser, self.url, self.driver.current_window_handle, self.worker)

    def kept(self):
        """Waits until the service worker has what it keeps."""
        self.turn()
        self.driver.execute_async_script("navigator.serviceWorker.ready.then(() => arguments[0]())")

    # --- going places

    def go(self, route=""):
        self.turn()
        self.driver.get(route if route == "about:blank" else self.url + route)
        return self

    def reload(self):
        self.turn()
        self.driver.refresh()

    @property
    def route(self):
        return self.js("return location.hash")

    def at(self, route):
        self.until(f"being at {route}", lambda: self.route == route)
        return self

    def js(self, code, *arguments):
        self.turn()
        return self.driver.execute_script(code, *arguments)

    def cdp(self, command, **parameters):
        self.turn()
        return self.browser.cdp(command, **parameters)

    def until(self, what, condition, seconds=None):
        """Elements come and go while a page draws itself anew."""
        deadline = time.monotonic() + (seconds or self.SECONDS)
        while True:
            try:
                value = condition()
            except StaleElementReferenceException:
                value = None
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain: {what}; the page says:\n{self.text()}")
            time.sleep(0.02)

    # --- finding

    def all(self, kind, name, begins=False, root=None):
        return self.js(FIND, kind, name, begins, root)

    def get(self, kind, name, begins=False):
        return self.until(f"a {kind} “{name}”", lambda: self.all(kind, name, begins))[0]

    def gone(self, kind, name):
        self.until(f"no {kind} “{name}”", lambda: not self.all(kind, name))

    def text(self):
        return self.js("return document.body.innerText")

    def says(self, text, seconds=None):
        """Case counts; where it stands does not."""
        self.until(f"“{text}”", lambda: text in self.text(), seconds)

    def focused(self):
        """The name of what has the focus."""
        self.turn()
        return self.driver.switch_to.active_element.accessible_name

    # --- doing

    def click(self, kind, name, begins=False):
        """Also when the element is just being replaced by its like."""
        def done():
            element = self.get(kind, name, begins)
            self.js("arguments[0].scrollIntoView({ block: 'nearest' })", element)
            element.click()
            return True
        self.until(f"a click on {name}", done)

    def fill(self, name, text):
        field = self.get("field", name)
        field.clear()
        field.send_keys(text)
        return field

    def drag(self, element, target):
        self.turn()
        ActionChains(self.driver, duration=50).drag_and_drop(element, target).perform()

    def put(self, name, value):
        """For inputs whose keys depend on the language, such as dates."""
        self.js("arguments[0].value = arguments[1];"
                "for (const t of ['input', 'change'])"
                "	arguments[0].dispatchEvent(new Event(t, { bubbles: true }))",
                self.get("field", name), value)

    def keys(self, *keys, held=None):
        """To whatever has the focus, with the key `held` down."""
        self.turn()
        chain = ActionChains(self.driver, duration=0)
        if held:
            chain.key_down(held)
        chain.send_keys(*keys)
        if held:
            chain.key_up(held)
        chain.perform()

    def emulate(self, **features):
        self.cdp("Emulation.setEmulatedMedia", media="", features=[
            {"name": k.replace("_", "-"), "value": v} for k, v in features.items()])

    def size(self, width, height, mobile=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=mobile)

    def offline(self, offline=True):
        self.turn()
        self.browser.network(offline)

    # --- tasks

    def log_in(self, user):
        self.go("#/login")
        self.fill("E-mail", user.email)
        self.fill("Password", user.password).send_keys(Keys.ENTER)
        self.at("#/tasks")
        self.get("heading", "All tasks")
        return self

    def add(self, *titles):
        self.fill("Add a task", (Keys.SHIFT + Keys.ENTER + Keys.SHIFT).join(titles))
        self.keys(Keys.ENTER)

    def titles(self):
        return self.js("""return [...document.querySelectorAll(
			'main [role=list] input[type=checkbox][aria-label^="Complete: "]')]
			.filter((e) => e.closest('li').checkVisibility())
			.map((e) => e.getAttribute('aria-label').slice(10))""")

    def shows(self, *titles, seconds=None):
        def right():
            right.now = self.titles()
            return right.now == list(titles)
        try:
            self.until(f"tasks {titles}", right, seconds)
        except AssertionError as error:
            raise AssertionError(f"tasks {right.now}, not {list(titles)}; {error}") from None

    def sync(self):
        return self.js("return document.querySelector('[role=status][data-sync]').dataset.sync")

    def synced(self, state="saved"):
        self.until(f"sync state {state}", lambda: self.sync() == state)

    # --- what it sent, and what went wrong

    def sent(self, ending):
        """The requests of this document to a path, in order."""
        return [r for r in self.js("return tc.sent") if r["path"].endswith(ending)]

    def expects(self, *patterns):
        self.expected += patterns
