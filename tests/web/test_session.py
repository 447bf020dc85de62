"""The session module: tokens, refreshing, several tabs."""

import re

import pytest

from client import another, register


def wire(site, start, what):
    """How often the server was asked for a path since `start`."""
    return len(re.findall(what + r"\b", site.log_text(start)))


def test_every_call_carries_the_token(mine):
    mine.add("One")
    mine.shows("One")
    mine.synced()
    mine.click("link", "Settings")
    mine.says("This device")
    mine.until("the feed", lambda: mine.sent("/changes"))
    sent = mine.js("return tc.sent")
    own = [r for r in sent if not re.search(r"auth/(login|refresh)$", r["path"])]
    assert len(own) >= 4
    assert all(re.fullmatch(r"Bearer [\w-]+\.[\w-]+\.[\w-]+", r["authorization"]) for r in own)
    assert all(r.get("status", 200) < 300 for r in sent)
    (made,) = [r for r in sent if r["method"] == "POST" and r["path"].endswith("/tasks")]
    assert made["key"]


def test_a_refused_token_is_refreshed_and_the_call_sent_again(mine, site, user):
    mine.synced()
    mine.until("the feed", lambda: mine.sent("/changes"))
    mine.expects(r" 401 ")
    start = site.log_size()
    mine.js("tc.spoil = 1")
    mine.add("Once")
    mine.shows("Once")
    mine.synced()
    mine.until("the task", lambda: [t["title"] for t in user.tasks()] == ["Once"])
    tries = [r for r in mine.sent("/tasks") if r["method"] == "POST"]
    assert len({r["key"] for r in tries}) == 1
    assert wire(site, start, "/api/auth/refresh") == 1


def test_a_token_that_stays_refused_is_not_tried_for_ever(mine, site):
    mine.click("link", "Settings")
    mine.says("This device")
    mine.expects(r" 401 ")
    start = site.log_size()
    mine.js("tc.spoil = 1000")
    mine.fill("Name", "Nobody")
    mine.click("button", "Save")
    mine.says("Please log in again.")
    assert [r["status"] for r in mine.sent("/auth/account")] == [401, 401]
    refused = [r for r in mine.js("return tc.sent") if r.get("status") == 401]
    assert 2 * wire(site, start, "/api/auth/refresh") <= len(refused)
    mine.js("tc.spoil = 0")


def test_refreshed_before_it_expires(page, user, site):
    """Nothing is ever refused while the page is open."""
    page.go("#/login")
    page.js("tc.life = 2")
    start = site.log_size()
    page.fill("E-mail", user.email)
    page.fill("Password", user.password)
    page.click("button", "Log in")
    page.at("#/tasks")
    page.until("two refreshes", lambda: wire(site, start, "/api/auth/refresh") >= 2)
    assert not [r for r in page.js("return tc.sent") if r.get("status", 200) == 401]


def test_a_visit_later_goes_on(mine, site):
    mine.add("Kept")
    mine.shows("Kept")
    mine.synced()
    start = site.log_size()
    mine.reload()
    mine.shows("Kept")
    assert mine.route == "#/tasks"
    assert wire(site, start, "/api/auth/refresh") == 1


def test_two_tabs_refresh_once(mine, site, user):
    """Both are refused at the same moment, with the same token."""
    other = mine.another().go("#/tasks")
    for each in (mine, other):
        each.get("heading", "All tasks")
        each.synced()
        each.expects(r" 401 ")
    start = site.log_size()
    at = mine.js("return Date.now() + 300")
    for each in (mine, other):
        each.js("""setTimeout(() => {
				tc.spoil = 1;
				location.hash = '#/settings';
			}, arguments[0] - Date.now())""", at)
    for each in (mine, other):
        each.says("This device")
        assert each.js("return tc.spoil") == 0
        assert sum(r.get("status") == 401 for r in each.js("return tc.sent")) == 1
    assert wire(site, start, "/api/auth/refresh") == 1
    assert user.alive() and len(user.call("GET", "/api/auth/sessions").json) == 2


def test_the_timers_of_two_tabs_refresh_once(page, user, site):
    page.log_in(user)
    other = page.another().go("#/tasks")
    other.get("heading", "All tasks")
    for each in (page, other):
        each.js("tc.life = 2; tc.sent = []")
        each.expects(r" 401 ")
    page.js("tc.spoil = 1")
    start = site.log_size()
    page.click("link", "Settings")  # from now on both know of two seconds, of which they use 1.6
    page.until("three refreshes", lambda: wire(site, start, "/api/auth/refresh") >= 3)
    times = [r["at"] for each in (page, other) for r in each.sent("/refresh")]
    assert all(b - a > 1000 for a, b in zip(sorted(times), sorted(times)[1:])), times
    assert user.alive()


@pytest.mark.parametrize("way", ["log out", "end"])
def test_what_ends_in_one_tab_ends_in_all(mine, user, way):
    other = mine.another().go("#/settings")
    other.says("This device")
    if way == "end":
        for each in (mine, other):
            each.expects(r" 401 ")
        another(user).call("DELETE", "/api/auth/sessions").expect(204)
    else:
        mine.click("button", "Log out")
    for each in (mine, other):
        each.get("button", "Log in")
        assert each.route.startswith("#/login")
        assert not each.all("button", "Log out")
    if way == "end":
        mine.says("Your session has ended")


def test_somebody_else_logs_in_after_a_log_out(mine, user, site):
    other = mine.another().go("#/tasks")
    mine.add("A secret of the first")
    other.shows("A secret of the first")
    mine.synced()
    mine.click("button", "Log out")
    second = register(site.http)
    mine.log_in(second)
    mine.says("Nothing here yet")
    other.get("heading", "All tasks")
    other.says("Nothing here yet")
    for each in (mine, other):
        assert "secret of the first" not in each.js("return document.documentElement.textContent")
    assert [t["title"] for t in user.tasks()] == ["A secret of the first"]


def test_what_one_asked_is_not_done_as_another(mine, user, site):
    """The answer of the first comes when somebody else is there."""
    mine.click("link", "Settings")
    mine.says("This device")
    mine.js("""const before = self.fetch;
		self.fetch = async (url, options) => {
			if (options?.method !== 'PATCH' || tc.release) return before(url, options);
			await new Promise((resolve) => (tc.release = resolve));
			return Response.json({ code: 'invalid_token' }, { status: 401 });
		}""")
    mine.fill("Name", "The first")
    mine.click("button", "Save")
    mine.until("being on its way", lambda: mine.js("return Boolean(tc.release)"))
    other = mine.another().go("#/tasks")
    other.click("button", "Log out")
    second = register(site.http)
    other.log_in(second)
    mine.at("#/tasks")
    mine.get("button", "Log out")
    mine.js("tc.answered = tc.sent.length; tc.release()")
    other.add("Meanwhile")
    mine.shows("Meanwhile")
    assert not mine.sent("/auth/account")
    for each in (user, second):
        assert each.call("GET", "/api/auth/account").json["name"] != "The first"


def test_a_login_comes_after_the_log_out(mine, site):
    """Also when the log-out has to wait for a refresh of another tab."""
    second = register(site.http)
    other = mine.another().go("#/tasks")
    other.get("heading", "All tasks")
    other.js("""navigator.locks.request('taskcell:/:refresh',
		() => new Promise((resolve) => (tc.free = resolve)))""")
    other.until("the lock", lambda: other.js("return Boolean(tc.free)"))
    mine.click("button", "Log out")
    mine.fill("E-mail", second.email)
    mine.fill("Password", second.password)
    mine.click("button", "Log in")
    mine.until("it is sent", lambda: mine.js(
        "return document.querySelector('form button[aria-disabled]') !== null"))
    other.js("tc.free()")
    mine.at("#/tasks")
    mine.synced()
    mine.until("answers", lambda: all("status" in r for r in mine.sent("/logout")))
    asked = [r["path"] for r in mine.js("return tc.sent") if "/auth/log" in r["path"]]
    assert asked[-1].endswith("/login") and asked[-2].endswith("/logout")
    mine.reload()
    mine.get("heading", "All tasks")


def test_undo_ends_with_the_session(mine, user, site):
    user.create("Private")
    mine.click("button", "Delete: Private")
    mine.synced()
    mine.click("button", "Log out")
    second = register(site.http)
    mine.log_in(second)
    mine.says("Nothing here yet")
    mine.js("document.activeElement.blur()")
    mine.keys("u")
    mine.add("Own")
    mine.shows("Own")
    mine.synced()
    assert not [r for r in mine.js("return tc.sent") if r["path"].endswith("/restore")]


def test_a_browser_that_stores_nothing(page, user):
    """The feed goes on from where it was, and does not begin again and again."""
    page.go("#/login")
    page.js("""for (const name of ['getItem', 'setItem', 'removeItem'])
			Storage.prototype[name] = () => { throw new DOMException('', 'SecurityError') }""")
    user.create("Old")
    page.fill("E-mail", user.email)
    page.fill("Password", user.password)
    page.click("button", "Log in")
    page.shows("Old")
    for i in range(3):
        user.create(f"task {i}")
        page.until(f"task {i}", lambda n=i: f"task {n}" in page.titles())
    assert len(page.sent("/changes")) <= 6
    assert len([r for r in page.sent("/changes") if "status" not in r]) == 1


STORED = """
const done = arguments[0];
(async () => {
	const found = [JSON.stringify(localStorage), JSON.stringify(sessionStorage)];
	found.push(document.cookie, location.href, document.documentElement.outerHTML);
	for (const { name } of await indexedDB.databases()) {
		const db = await new Promise((ok) =>
			(indexedDB.open(name).onsuccess = (event) => ok(event.target.result)));
		for (const store of db.objectStoreNames) {
			found.push(JSON.stringify(await new Promise((ok) =>
				(db.transaction(store).objectStore(store).getAll().onsuccess =
					(event) => ok(event.target.result)))));
		}
		db.close();
	}
	for (const name of await caches.keys()) {
		const cache = await caches.open(name);
		for (const request of await cache.keys()) found.push(request.url);
	}
	return found;
})().then(done);
"""


def test_nothing_secret_is_stored(worker, mine, user):
    """Not the tokens, not the password, and in the caches no answer of the API."""
    mine.add("Plain")
    mine.synced()
    mine.offline()
    mine.expects(r"ERR_INTERNET_DISCONNECTED")
    mine.add("In the outbox")
    mine.shows("In the outbox", "Plain")
    mine.kept()
    stored = "\n".join(mine.driver.execute_async_script(STORED))
    sent = mine.js("return tc.sent")
    tokens = {r["authorization"].split()[1] for r in sent if r["authorization"]}
    (cookie,) = mine.cdp("Network.getAllCookies")["cookies"]
    assert tokens and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert cookie["path"] == "/api/auth"
    for secret in (*tokens, cookie["value"], user.password):
        assert secret not in stored and secret[:24] not in stored
    urls = [u for u in stored.split("\n") if u.startswith("http")]
    assert len(urls) > 20 and not any("/api/" in u for u in urls)
    assert "In the outbox" in stored
    mine.offline(False)
    mine.synced()
    mine.click("button", "Log out")
    mine.at("#/login")
    mine.until("an empty outbox", lambda: "In the outbox" not in "\n".join(
        mine.driver.execute_async_script(STORED)))
    assert user.email not in "\n".join(mine.driver.execute_async_script(STORED))
