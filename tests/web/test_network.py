"""A bad network: nothing is lost or done twice, and nobody is overruled without being asked."""

import subprocess

import pytest
from selenium.webdriver.common.keys import Keys

import client
import stack as stacks

LOST = r"ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED|FAILED|NETWORK_CHANGED|CONNECTION_RESET|" \
    r"EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)"


@pytest.fixture
def shaky(mine):
    mine.expects(LOST)
    mine.synced()
    mine.until("the feed", lambda: mine.sent("/changes"))
    return mine


def titles(user):
    return [t["title"] for t in user.tasks()]


def test_what_is_done_offline_is_sent_in_order_and_once(shaky, user):
    old = user.create("Old")
    shaky.shows("Old")
    shaky.offline()
    shaky.synced("offline")
    shaky.add("first", "second")
    shaky.add("third")
    shaky.shows("third", "first", "second", "Old")
    shaky.click("check", "Complete: first")
    shaky.click("button", "Edit: first")
    shaky.fill("Title", "first, changed")
    shaky.click("button", "Save")
    shaky.shows("third", "first, changed", "second", "Old")
    shaky.click("button", "Delete: Old")
    shaky.shows("third", "first, changed", "second")
    shaky.says("Offline, 6 changes kept here")
    assert titles(user) == ["Old"]
    since = user.call("GET", "changes").json["next"]
    shaky.offline(False)
    shaky.synced("saved")
    assert titles(user) == ["third", "first, changed", "second"]
    assert user.call("GET", f"tasks/{old['id']}").status == 404
    changes = user.call("GET", f"changes?since={since}").json["changes"]
    assert [c.get("title", c["id"]) for c in changes] == [
        "second", "third", "first, changed", old["id"]]
    posts = [r for r in shaky.sent("/tasks") if r["method"] == "POST" and r.get("status")]
    assert [r["status"] for r in posts] == [201] * 3 and len({r["key"] for r in posts}) == 3


def test_what_waits_survives_the_page(worker, shaky, user):
    shaky.kept()
    shaky.offline()
    shaky.add("Kept over night")
    shaky.shows("Kept over night")
    shaky.reload()
    shaky.synced("offline")
    shaky.shows("Kept over night")
    assert titles(user) == []
    shaky.offline(False)
    shaky.synced("saved")
    assert titles(user) == ["Kept over night"]


def test_a_visit_without_a_server(worker, make_site, open_page):
    """The page opens from what the service worker has kept, and goes on when the server is back."""
    s = make_site(workers=3, auth_workers=1)
    user = client.register(s.http)
    page = open_page(s).log_in(user)
    page.expects(LOST)
    page.add("Before")
    page.synced()
    page.kept()
    command = s.nginx.args
    s.nginx.terminate()
    s.nginx.wait(20)
    page.reload()
    page.get("heading", "All tasks")
    page.synced("offline")
    page.says("You are offline")
    page.add("Meanwhile")
    page.shows("Meanwhile")
    with open(s.dir / "nginx-again.log", "wb") as log:
        s.nginx = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True, preexec_fn=stacks.die_with_parent)
    page.synced("saved")
    page.shows("Meanwhile", "Before")
    stacks.wait_for("the task", lambda: titles(user) == ["Meanwhile", "Before"])


def test_a_full_disk(mine, user):
    """What the browser could not store is sent all the same."""
    mine.js("""const { put } = IDBObjectStore.prototype;
		IDBObjectStore.prototype.put = function (value) {
			const request = put.call(this, value);
			request.addEventListener('success', () => this.transaction.abort());
			return request;
		}""")
    mine.add("Not forgotten")
    mine.until("the task", lambda: titles(user) == ["Not forgotten"])
    mine.shows("Not forgotten")
    mine.synced()


LOSE_ANSWER = """
const before = self.fetch;
let lost = false;
self.fetch = async (url, options) => {
	const answer = await before(url, options);
	if (options?.method === arguments[0] && !lost) {
		lost = true;
		throw new TypeError('lost');
	}
	return answer;
}"""


def test_a_lost_answer(mine, user):
    """The server has done it, and is asked again with the same key."""
    mine.js(LOSE_ANSWER, "POST")
    mine.add("Only once")
    mine.until("a second try", lambda: len(mine.sent("/tasks")) > 1 and mine.sync() == "saved")
    posts = [r for r in mine.sent("/tasks") if r["method"] == "POST"]
    assert [r["status"] for r in posts] == [201, 201] and len({r["key"] for r in posts}) == 1
    assert titles(user) == ["Only once"]
    mine.shows("Only once")
    mine.js(LOSE_ANSWER, "DELETE")
    mine.expects(r" 404 ")
    mine.click("button", "Delete: Only once")
    mine.shows()
    mine.synced()
    assert titles(user) == [] and not mine.all("dialog", "This task was changed elsewhere")
    assert len(user.call("GET", "trash").json) == 1


def test_a_server_that_asks_to_wait(mine, user):
    mine.js("""const before = self.fetch;
		self.fetch = (url, options) => {
			if (options?.method !== 'POST' || !url.pathname?.endsWith('/tasks') || tc.told)
				return before(url, options);
			tc.told = Date.now();
			return Response.json({ code: 'unavailable', status: 503 },
				{ status: 503, headers: { 'retry-after': '2' } });
		}""")
    mine.add("Patience")
    mine.until("being sent", lambda: titles(user) == ["Patience"])
    (sent,) = [r for r in mine.sent("/tasks") if r["method"] == "POST"]
    assert sent["at"] - mine.js("return tc.told") >= 1950
    mine.synced()


# --- changes that meet --------------------------------------------------------------------------


def meet(page, user, here, there):
    """A task changed on both sides while this one was offline; the answer is its id."""
    task = user.create("Base", priority="low")
    page.shows("Base")
    page.offline()
    page.synced("offline")
    here(page)
    there(task)
    page.expects(r" (412|404) ")
    page.offline(False)
    return task


def rename(page, title="Mine"):
    page.click("button", "Edit: Base")
    page.fill("Title", title)
    page.click("button", "Save")
    page.shows(title)


def patch(user, **members):
    return lambda task: user.call("PATCH", f"tasks/{task['id']}", members).expect(200)


def dialog(page):
    """What it says, also while it is still coming into sight."""
    return page.get("dialog", "This task was changed elsewhere").get_attribute("textContent")


@pytest.mark.parametrize("choice,title", [("Keep mine", "Mine"), ("Keep theirs", "Theirs")])
def test_both_changed_the_title(shaky, user, choice, title):
    task = meet(shaky, user, rename, patch(user, title="Theirs"))
    text = dialog(shaky)
    assert "Mine" in text and "Theirs" in text
    assert user.task(task)["title"] == "Theirs"  # nothing is decided yet
    shaky.click("button", choice)
    shaky.gone("dialog", "This task was changed elsewhere")
    shaky.synced("saved")
    shaky.shows(title)
    assert user.task(task)["title"] == title


def test_put_off(shaky, user):
    task = meet(shaky, user, rename, patch(user, title="Theirs"))
    dialog(shaky)
    shaky.keys(Keys.ESCAPE)
    shaky.gone("dialog", "This task was changed elsewhere")
    assert shaky.sync() == "conflict" and user.task(task)["title"] == "Theirs"
    shaky.add("Others go on")
    shaky.until("it", lambda: "Others go on" in titles(user))
    shaky.reload()
    dialog(shaky)
    shaky.click("button", "Keep mine")
    shaky.synced("saved")
    assert user.task(task)["title"] == "Mine"


def test_the_question_is_in_sight_on_a_phone(shaky, user):
    shaky.size(390, 664, mobile=True)
    task = meet(shaky, user, rename, patch(user, title="Theirs"))
    dialog(shaky)
    # whoever was typing just now has chosen nothing
    assert shaky.focused() == "This task was changed elsewhere"
    shaky.keys(Keys.ENTER, Keys.SPACE)
    assert dialog(shaky) and user.task(task)["title"] == "Theirs"
    for name in ("This task was changed elsewhere", "Mine", "Theirs"):
        box = shaky.js("return arguments[0].getBoundingClientRect()", shaky.get("heading", name))
        assert box["top"] >= 0 and box["bottom"] <= 664, name
    shaky.click("button", "Keep theirs")
    shaky.synced("saved")


def test_different_members_need_no_question(shaky, user):
    task = meet(shaky, user, rename, patch(user, priority="high"))
    shaky.synced("saved")
    now = user.task(task)
    assert now["title"] == "Mine" and now["priority"] == "high"
    assert not shaky.all("dialog", "This task was changed elsewhere")
    shaky.shows("Mine")
    shaky.says("High")


@pytest.mark.parametrize("choice", ["Keep mine", "Keep theirs"])
def test_deleted_there_and_changed_here(shaky, user, choice):
    task = meet(shaky, user, rename,
                lambda t: user.call("DELETE", f"tasks/{t['id']}").expect(200))
    assert "Deleted" in dialog(shaky)
    shaky.click("button", choice)
    shaky.synced("saved")
    if choice == "Keep mine":
        shaky.shows("Mine")
        assert user.task(task)["title"] == "Mine"
    else:
        shaky.shows()
        assert user.call("GET", f"tasks/{task['id']}").status == 404


@pytest.mark.parametrize("choice", ["Keep mine", "Keep theirs"])
def test_changed_there_and_deleted_here(shaky, user, choice):
    def delete(page):
        page.click("button", "Delete: Base")
        page.shows()
    task = meet(shaky, user, delete, patch(user, title="Theirs"))
    assert "Theirs" in dialog(shaky)
    shaky.click("button", choice)
    shaky.synced("saved")
    shaky.shows(*(["Theirs"] if choice == "Keep theirs" else []))
    assert user.call("GET", f"tasks/{task['id']}").status == \
        (200 if choice == "Keep theirs" else 404)


def test_both_deleted(shaky, user):
    def delete(page):
        page.click("button", "Delete: Base")
    meet(shaky, user, delete, lambda t: user.call("DELETE", f"tasks/{t['id']}").expect(200))
    shaky.synced("saved")
    shaky.shows()
    assert not shaky.all("dialog", "This task was changed elsewhere")


def test_a_session_that_ended_loses_nothing(shaky, user):
    """What waited is sent after the next login of the same person, in whichever tab."""
    other = shaky.another().go("#/tasks")
    other.get("heading", "All tasks")
    shaky.turn()
    shaky.offline()
    shaky.add("Not lost")
    shaky.shows("Not lost")
    client.another(user).call("DELETE", "/api/auth/sessions").expect(204)
    shaky.expects(r" 401 ")
    other.get("button", "Log in")
    shaky.offline(False)
    shaky.get("button", "Log in")
    again = client.login(user.http, user.email).expect(200)
    user.take(again.json)
    assert titles(user) == []
    shaky.log_in(user)
    shaky.shows("Not lost")
    shaky.synced("saved")
    assert titles(user) == ["Not lost"]
