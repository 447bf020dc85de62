"""What people do with tasks."""

import datetime

import pytest
from selenium.webdriver.common.keys import Keys

TODAY = datetime.date.today  # Chromium's time zone is UTC here, and so is the server's


def theirs(user):
    """The titles as the server has them, newest first."""
    return [t["title"] for t in user.tasks()]


def test_adding(mine, user):
    mine.add("Bread")
    mine.shows("Bread")
    assert mine.focused() == "Add a task"
    mine.fill("Add a task", "Milk")
    mine.click("button", "Add")
    mine.shows("Milk", "Bread")
    mine.add("   ")
    mine.add("")
    mine.synced()
    assert theirs(user) == ["Milk", "Bread"]


def test_several_lines_are_several_tasks(mine, user):
    mine.add("one", "two", "  ", "three")
    mine.shows("one", "two", "three")
    mine.synced()
    assert theirs(user) == ["one", "two", "three"]
    keys = [r["key"] for r in mine.sent("/tasks") if r["method"] == "POST"]
    assert len(set(keys)) == 3


def test_a_title_that_is_too_long_is_kept_in_the_field(mine, user):
    mine.put("Add a task", "x" * 201)
    mine.click("button", "Add")
    mine.says("A title has at most 200 characters")
    assert len(mine.get("field", "Add a task").get_attribute("value")) == 201
    mine.put("Add a task", "x" * 200)
    mine.click("button", "Add")
    mine.shows("x" * 200)
    mine.synced()
    assert theirs(user) == ["x" * 200]


def test_completing_and_taking_it_back(mine, user):
    task = user.create("Dishes")
    mine.click("check", "Complete: Dishes")
    mine.until("completed", lambda: user.task(task)["completed"])
    mine.click("button", "Undo")
    mine.until("active again", lambda: not user.task(task)["completed"])
    assert not mine.get("check", "Complete: Dishes").is_selected()
    (patch,) = [r for r in mine.js("return tc.sent") if r["method"] == "PATCH"][:1]
    assert patch["match"] == f'"{task["version"]}"'


def test_editing_every_member(mine, user):
    task = user.create("Draft")
    mine.click("button", "Edit: Draft")
    assert mine.until("the focus", lambda: mine.focused() == "Title")
    mine.fill("Title", "Final")
    mine.fill("Notes", "line 1\nline 2")
    mine.put("Due date", "2031-05-06")
    mine.put("Priority", "high")
    mine.fill("Tags", "home, Größe, home, #x")
    mine.click("button", "Save")
    mine.shows("Final")
    mine.synced()
    now = user.task(task)
    assert now["description"] == "line 1\nline 2" and now["due_date"] == "2031-05-06"
    assert now["priority"] == "high" and now["tags"] == ["home", "Größe", "x"]
    assert mine.until("the focus back", lambda: mine.focused() == "Edit: Final")
    for text in ("May 6, 2031", "High", "#home", "Notes"):
        mine.says(text)
    mine.click("button", "Edit: Final")
    mine.fill("Title", "Not this")
    mine.keys(Keys.ESCAPE)
    mine.gone("field", "Title")
    mine.shows("Final")
    mine.click("button", "Edit: Final")
    mine.fill("Notes", " ")
    mine.put("Due date", "")
    mine.fill("Tags", " ")
    mine.click("button", "Save")
    mine.gone("field", "Title")
    mine.synced()
    now = user.task(task)
    assert now["description"] is None and now["due_date"] is None and now["tags"] == []
    assert now["title"] == "Final"


def test_the_editor_is_in_sight(mine, user):
    for i in range(9):
        user.create(f"task {i}")
    mine.until("all", lambda: len(mine.titles()) == 9)
    mine.click("button", "Edit: task 2")
    mine.get("field", "Title")
    box = mine.js("return arguments[0].getBoundingClientRect()", mine.get("button", "Save"))
    assert box["bottom"] <= mine.js("return innerHeight")


def test_faults_in_the_editor(mine, user):
    user.create("Draft")
    mine.click("button", "Edit: Draft")
    mine.fill("Title", " ")
    mine.fill("Tags", ",".join(f"t{i}" for i in range(21)))
    mine.click("button", "Save")
    mine.says("A task needs a title.")
    mine.says("At most 20 tags.")
    assert mine.focused() == "Title"
    mine.click("button", "Cancel")
    mine.gone("field", "Title")


def test_deleting_and_undo(mine, user):
    user.create("Keep")
    task = user.create("Drop", priority="high", tags=["a"])
    mine.shows("Drop", "Keep")
    mine.click("button", "Delete: Drop")
    mine.shows("Keep")
    mine.until("the trash", lambda: len(user.call("GET", "trash").json) == 1)
    mine.click("button", "Undo")
    mine.shows("Drop", "Keep")
    mine.until("back", lambda: user.call("GET", f"tasks/{task['id']}").status == 200)
    mine.synced()
    back = user.task(task)
    assert back["priority"] == "high" and back["tags"] == ["a"]


def test_the_trash(mine, user):
    for title in ("one", "two"):
        user.call("DELETE", f"tasks/{user.create(title)['id']}").expect(200)
    mine.click("link", "Trash")
    mine.says("Trash")
    mine.click("button", "Restore: one")
    mine.gone("button", "Restore: one")
    mine.until("restored", lambda: theirs(user) == ["one"])
    mine.click("button", "Delete for good: two")
    mine.get("dialog", "Delete for good?")
    mine.click("button", "Delete for good")
    mine.until("nothing", lambda: user.call("GET", "trash").json == [])
    mine.says("The trash is empty")
    mine.click("link", "All")
    mine.shows("one")


def test_clearing_what_is_completed(mine, user):
    for title in ("a", "b", "c"):
        task = user.create(title)
        if title != "b":
            user.call("PATCH", f"tasks/{task['id']}", {"completed": True}).expect(200)
    mine.shows("c", "b", "a")
    mine.synced()
    mine.click("button", "Clear completed")
    mine.shows("b")
    mine.says("Moved 2 tasks to the trash")
    assert theirs(user) == ["b"]
    mine.click("button", "Undo")
    mine.shows("c", "b", "a")
    assert theirs(user) == ["c", "b", "a"]


# --- looking for tasks --------------------------------------------------------------------------


@pytest.fixture
def many(user):
    day = datetime.timedelta(days=1)
    today = TODAY()
    user.create("Bread", priority="low", tags=["shop"], due_date=str(today))
    user.create("milk the cow", priority="high", due_date=str(today - day))
    user.create("Answer Bob", priority="medium", due_date=str(today + day))
    done = user.create("Milk", tags=["shop"])
    user.call("PATCH", f"tasks/{done['id']}", {"completed": True}).expect(200)
    return user


def test_filters(mine, many):
    mine.shows("Milk", "Answer Bob", "milk the cow", "Bread")
    for name, expected in (
        ("Active", ["Answer Bob", "milk the cow", "Bread"]), ("Completed", ["Milk"]),
        ("Today", ["Bread"]), ("Overdue", ["milk the cow"]),
        ("All", ["Milk", "Answer Bob", "milk the cow", "Bread"]),
    ):
        mine.click("link", name)
        mine.shows(*expected)
        assert mine.get("link", name).get_attribute("aria-current") == "page"
    mine.click("link", "#shop")
    mine.shows("Milk", "Bread")
    mine.driver.back()
    mine.shows("Milk", "Answer Bob", "milk the cow", "Bread")


def test_what_no_longer_matches_leaves(mine, many):
    mine.click("link", "Active")
    mine.shows("Answer Bob", "milk the cow", "Bread")
    mine.click("check", "Complete: milk the cow")
    mine.shows("Answer Bob", "Bread")
    mine.click("button", "Undo")
    mine.shows("Answer Bob", "milk the cow", "Bread")


@pytest.mark.parametrize("order,expected", [
    ("Oldest first", ["Bread", "milk the cow", "Answer Bob", "Milk"]),
    ("Due date", ["milk the cow", "Bread", "Answer Bob", "Milk"]),
    ("Priority", ["milk the cow", "Answer Bob", "Bread", "Milk"]),
    ("Title", ["Answer Bob", "Bread", "Milk", "milk the cow"]),
])
def test_orders(mine, many, order, expected):
    mine.shows("Milk", "Answer Bob", "milk the cow", "Bread")
    mine.get("field", "Sort by").send_keys(order)
    mine.shows(*expected)
    mine.reload()
    mine.shows(*expected)


def test_searching_as_one_types(mine, many):
    mine.shows("Milk", "Answer Bob", "milk the cow", "Bread")
    mine.fill("Search tasks", "mil")
    mine.shows("Milk", "milk the cow")
    assert "q=mil" in mine.route and mine.focused() == "Search tasks"
    mine.keys("k cow")
    mine.shows("milk the cow")
    mine.keys(Keys.ESCAPE)
    mine.shows("Milk", "Answer Bob", "milk the cow", "Bread")
    mine.fill("Search tasks", "nothing has this")
    mine.says("No task matches")
    mine.click("button", "Show all tasks")
    mine.shows("Milk", "Answer Bob", "milk the cow", "Bread")


def test_a_late_answer_does_not_win(mine, many):
    """The answer for the first letters comes after that for the whole word."""
    mine.js("""const before = self.fetch;
		self.fetch = async (url, options) => {
			const answer = await before(url, options);
			const first = /[?&]q=m(&|$)/.test(url);
			if (first) await new Promise((done) => (tc.release = done));
			return answer;
		}""")
    mine.fill("Search tasks", "m")
    mine.until("the first is asked", lambda: "q=m" in mine.route)
    mine.keys("ilk the")
    mine.shows("milk the cow")
    mine.js("tc.release?.()")
    mine.js("return new Promise((done) => setTimeout(done, 50))")
    assert mine.titles() == ["milk the cow"]


def test_load_more_keeps_place_and_focus(mine, user):
    user.call("POST", "tasks/import", b"title\n" + b"".join(b"task %03d\n" % i for i in range(120)),
              media="text/csv").expect(200)
    mine.reload()
    mine.until("a page", lambda: 50 <= len(mine.titles()) < 120)
    before = mine.titles()
    button = mine.get("button", "Load more")
    mine.js("arguments[0].scrollIntoView({ block: 'center' })", button)
    row = "document.querySelector(`[aria-label='Complete: ${arguments[0]}']`)"
    where = mine.js(f"return {row}.getBoundingClientRect().top", before[-1])
    mine.js("arguments[0].focus({ preventScroll: true })", button)
    mine.keys(Keys.ENTER)
    mine.until("more", lambda: len(mine.titles()) > len(before))
    now = mine.titles()
    assert now[:len(before)] == before and len(set(now)) == len(now)
    assert abs(mine.js(f"return {row}.getBoundingClientRect().top", before[-1]) - where) <= 2
    assert mine.until("the focus", lambda: mine.focused()) == f"Complete: {now[len(before)]}"
    mine.click("button", "Load more")
    mine.gone("button", "Load more")
    assert sorted(mine.titles()) == [f"task {i:03}" for i in range(120)]


def test_dragging_to_a_filter(mine, user):
    task = user.create("Dragged")
    mine.shows("Dragged")
    row = mine.get("check", "Complete: Dragged").find_element("xpath", "ancestor::li")
    for name, member, value in (("Completed", "completed", True), ("Active", "completed", False),
                                ("Today", "due_date", str(TODAY()))):
        mine.drag(row, mine.get("link", name))
        mine.until(f"moved to {name}", lambda m=member, v=value: user.task(task)[m] == v)
    mine.drag(row, mine.get("link", "Trash"))
    mine.shows()


# --- other devices and tabs ---------------------------------------------------------------------


def test_another_device_is_seen_at_once(mine, user):
    mine.says("Nothing here yet")
    mine.until("the feed", lambda: mine.sent("/changes"))
    task = user.create("From the phone")
    mine.shows("From the phone", seconds=2)
    user.call("PATCH", f"tasks/{task['id']}", {"title": "Renamed"}).expect(200)
    mine.shows("Renamed", seconds=2)
    user.call("PATCH", f"tasks/{task['id']}", {"completed": True}).expect(200)
    mine.until("ticked", lambda: mine.get("check", "Complete: Renamed").is_selected(), 2)
    user.call("DELETE", f"tasks/{task['id']}").expect(200)
    mine.shows(seconds=2)


def test_another_tab_is_seen_at_once(mine, user):
    other = mine.another().go("#/tasks")
    other.get("heading", "All tasks")
    mine.add("From here")
    other.shows("From here", seconds=2)
    other.click("check", "Complete: From here")
    mine.until("ticked", lambda: mine.get("check", "Complete: From here").is_selected(), 2)
    mine.go("about:blank")
    user.create("From elsewhere")  # whichever of the two followed the feed
    other.shows("From elsewhere", "From here", seconds=4)


def test_what_others_do_leaves_the_focus_alone(mine, user):
    tasks = [user.create(f"task {i}") for i in range(3)]
    mine.shows("task 2", "task 1", "task 0")
    mine.js("arguments[0].focus()", mine.get("check", "Complete: task 1"))
    user.call("PATCH", f"tasks/{tasks[1]['id']}", {"title": "Changed"}).expect(200)
    user.create("New")
    mine.shows("New", "task 2", "Changed", "task 0")
    assert mine.focused() == "Complete: Changed"
    mine.click("button", "Edit: task 2")
    mine.fill("Title", "typed here")
    user.call("PATCH", f"tasks/{tasks[2]['id']}", {"priority": "high"}).expect(200)
    user.create("Newer")
    mine.until("Newer", lambda: "Newer" in mine.titles())
    assert mine.get("field", "Title").get_attribute("value") == "typed here"
    assert mine.focused() == "Title"


def test_what_leaves_takes_no_focus_from_elsewhere(mine, user):
    tasks = [user.create(f"task {i}") for i in range(2)]
    mine.shows("task 1", "task 0")
    mine.js("arguments[0].focus()", mine.get("check", "Complete: task 0"))
    mine.keys(Keys.SPACE)
    mine.until("completed", lambda: user.task(tasks[0])["completed"])
    mine.fill("Add a task", "half of it")
    user.call("DELETE", f"tasks/{tasks[0]['id']}").expect(200)
    mine.shows("task 1")
    assert mine.focused() == "Add a task"


def test_the_focus_stays_in_the_list_when_another_device_deletes(mine, user):
    tasks = [user.create(f"task {i}") for i in range(3)]
    mine.shows("task 2", "task 1", "task 0")
    mine.js("arguments[0].focus()", mine.get("button", "Edit: task 1"))
    user.call("DELETE", f"tasks/{tasks[1]['id']}").expect(200)
    mine.shows("task 2", "task 0")
    assert mine.focused() == "Edit: task 0"


def test_what_is_typed_stays_when_the_task_leaves(mine, user):
    task = user.create("Draft")
    mine.click("link", "Active", begins=True)
    mine.expects(r" 412 ")
    mine.click("button", "Edit: Draft")
    mine.fill("Title", "typed here")
    user.call("PATCH", f"tasks/{task['id']}", {"completed": True}).expect(200)
    mine.shows()
    assert mine.get("field", "Title").get_attribute("value") == "typed here"
    assert mine.focused() == "Title"
    mine.click("button", "Save")
    mine.until("saved", lambda: user.task(task)["title"] == "typed here")
    assert user.task(task)["completed"]


def test_undo_of_what_is_gone(mine, user):
    """It does nothing, and without an error in the console."""
    task = user.create("Brief")
    mine.click("check", "Complete: Brief")
    mine.synced()
    user.call("DELETE", f"tasks/{task['id']}").expect(200)
    mine.shows()
    mine.click("button", "Undo")
    mine.gone("button", "Undo")
    mine.synced()


def test_the_next_morning(mine, user):
    """A page that was left open over night says what is due then."""
    user.create("Tomorrow's", due_date=str(TODAY() + datetime.timedelta(1)))
    mine.go("#/tasks?filter=today")
    mine.says("Nothing due today")
    mine.js("""const Before = Date;
		self.Date = class extends Before {
			constructor(...given) { given.length ? super(...given) : super(Date.now()); }
			static now() { return Before.now() + 86400000; }
		};
		document.dispatchEvent(new Event('visibilitychange'))""")
    mine.shows("Tomorrow's")
    mine.until("its number", lambda: "1" in mine.js(
        "return document.querySelector('#filters [aria-current] .count').dataset.count"))


# --- odd titles ---------------------------------------------------------------------------------

HOSTILE = [
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "</li></ul><h1>x</h1>",
    "javascript:alert(1)", '" onfocus="alert(1)" autofocus="', "{{7*7}} ${7*7} %s &amp; &lt;b&gt;",
    "\u202egnp.exe \u2066x\u2069", "e\u0301\u0327\u0324" * 40, "\U0001f469\u200d\U0001f4bb" * 60,
    "x" * 200, "\U0001f600" * 200, "\u0639\u0631\u0628\u064a \u05e2\u05d1\u05e8\u05d9\u05ea",
    "'; drop table tasks; --",
]


def test_titles_stay_text(mine, user):
    for title in HOSTILE:
        user.create(title, description=title, tags=[title[:40].strip()])
    mine.shows(*reversed(HOSTILE))
    titles = mine.js("return [...document.querySelectorAll('li .title')].map((e) => e.textContent)")
    assert titles == theirs(user)
    assert mine.js("return document.querySelectorAll('main img, main script, main h1').length") == 1
    assert mine.js("return document.documentElement.scrollWidth <= innerWidth")
    for title in HOSTILE[:2]:
        mine.click("button", f"Edit: {title}")
        assert mine.get("field", "Title").get_attribute("value") == title
        mine.click("button", "Cancel")
        mine.gone("field", "Title")
        mine.click("button", f"Delete: {title}")
        mine.says(title)  # in the message, too
        mine.click("button", "Undo")
        mine.until("back", lambda t=title: t in mine.titles())
    assert not mine.all("dialog", "")


def test_the_address_stays_text(page, user):
    page.log_in(user)
    bad = "<img src=x onerror=alert(1)>"
    page.go("#/tasks?q=" + page.js("return encodeURIComponent(arguments[0])", bad))
    page.says("No task matches")
    assert bad in page.text()
    assert page.js("return document.querySelectorAll('main img').length") == 0


def test_what_the_server_refuses_goes_back(mine, user):
    """A title that became empty, say, as only the server knows."""
    mine.js("""const before = self.fetch;
		self.fetch = (url, options) => before(url, options?.method === 'PATCH'
			? { ...options, body: '{"title":""}' } : options)""")
    user.create("As it was")
    mine.expects(r" 422 ")
    mine.click("button", "Edit: As it was")
    mine.fill("Title", "Refused")
    mine.click("button", "Save")
    mine.says("could not be saved")
    mine.shows("As it was")
    mine.synced()
