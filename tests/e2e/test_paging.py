"""Pages of a list: any order, both directions, whatever happens between two of them."""

import itertools
import random
import urllib.parse

import pytest

from client import at_once, b64url, register, unb64url

KEYS = {
    "created_at": lambda t: t["created_at"],
    "updated_at": lambda t: t["updated_at"],
    "title": lambda t: t["title"].lower().encode(),
    "due_date": lambda t: (t["due_date"] is None, t["due_date"] or ""),
    "priority": lambda t: ["none", "low", "medium", "high"].index(t["priority"]),
}
SORTS = [sign + name for name in KEYS for sign in ("", "-")]
N = 60


def fill(stack, user, n=N):
    """Many tasks with many ties in every order: of moments, titles, dates, priorities."""
    stack.sql.run(f"""
        insert into taskcell.tasks (user_id, id, title, version, created_at, updated_at, priority,
                                    due_date, due_at, completed, completed_at)
        select '{user.id}', md5('{user.id}' || g)::uuid,
               (array['Same', 'same', 'Émile', 'zoo', 'Ärger', 'a b', 'A b', 'ab'])[1 + g % 8], g,
               timestamptz '2024-05-06T07:08:09Z' + g % 7 * interval '1 ms',
               timestamptz '2024-05-07T07:08:09Z' + g % 5 * interval '1 ms', g % 4,
               case when g % 3 > 0 then format('2026-01-%s', to_char(1 + g % 11, 'FM00')) end,
               case when g % 3 > 0 then timestamptz '2026-01-01Z' + g % 11 * interval '1 day'
                    else 'infinity' end, g % 2 = 0, case when g % 2 = 0 then now() end
          from generate_series(1, {n}) g;
        update taskcell.users set revision = {n} where id = '{user.id}'""")


def expected_order(tasks, sort):
    key = KEYS[sort.lstrip("-")]
    return sorted(tasks, key=lambda t: (key(t), t["id"]), reverse=sort.startswith("-"))


def ids(tasks):
    return [t["id"] for t in tasks]


@pytest.fixture(scope="module")
def owner(stack):
    person = register(stack.http)
    fill(stack, person)
    return person


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 7, N - 1, N, 1000])
def test_every_sort(owner, sort, limit):
    """Each task once, in the order of the whole, ties by id."""
    whole = owner.call("GET", f"tasks?sort={sort}").expect(200).json
    assert len(whole) == N and whole == expected_order(whole, sort)
    pages = [a.json for a in owner.pages(f"tasks?sort={sort}&limit={limit}")]
    assert list(itertools.chain(*pages)) == whole
    assert all(len(p) == limit for p in pages[:-1]) and 0 < len(pages[-1]) <= limit
    assert len(pages) == -(-N // limit)


@pytest.mark.parametrize("sort", SORTS)
def test_the_aliases_page_too(owner, sort):
    query = f"sort_by={sort.lstrip('-')}&order={'desc' if sort[0] == '-' else 'asc'}"
    pages = [a.json for a in owner.pages(f"tasks?{query}&limit=13")]
    assert list(itertools.chain(*pages)) == owner.tasks(f"tasks?sort={sort}")


@pytest.mark.parametrize("query,keep", [
    ("status=pending", lambda t: not t["completed"]),
    ("completed=true&priority=medium", lambda t: t["completed"] and t["priority"] == "medium"),
    ("q=same", lambda t: t["title"].lower() == "same"),
    ("due_after=2026-01-03&due_before=2026-01-08",
     lambda t: "2026-01-03" <= (t["due_date"] or "") < "2026-01-08"),
])
@pytest.mark.parametrize("sort", ["-created_at", "title", "-due_date", "priority"])
def test_filtered_pages(owner, query, keep, sort):
    whole = [t for t in owner.tasks(f"tasks?sort={sort}") if keep(t)]
    assert 3 < len(whole) < N
    for limit in (1, 4):
        pages = list(owner.pages(f"tasks?{query}&sort={sort}&limit={limit}&count=true"))
        assert list(itertools.chain(*(a.json for a in pages))) == whole
        assert {a.header("X-Total-Count") for a in pages} == {str(len(whole))}


def test_the_longest_titles_page(user):
    """A cursor holds the title: 200 characters of four bytes each, a thousand bytes in all."""
    titles = [chr(0x1f600 + i) * 200 for i in range(4)] + ["Ⱥ" * 200, "İ" * 200]
    for title in titles:
        user.create(title)
    for sort in ("title", "-title"):
        pages = [a.json for a in user.pages(f"tasks?sort={sort}&limit=1")]
        assert [p[0]["id"] for p in pages] == ids(user.tasks(f"tasks?sort={sort}"))
        assert len(pages) == len(titles)


# --- while tasks come, change and go ------------------------------------------------------------


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_pages_while_tasks_come_change_and_go(stack, user, sort, seed):
    """Between any two pages: tasks that stay where they are in this order are seen exactly once,
    whatever happens to the others and to those that the cursor came from."""
    fill(stack, user)
    choice = random.Random(f"{seed}{sort}")
    start = user.tasks(f"tasks?sort={sort}")
    # those that nobody touches; those whose place in this order is left as it is
    alone = set(choice.sample(ids(start), N // 2))
    field = {"title": "priority", "priority": "title"}.get(sort.lstrip("-"), "title")
    value = {"title": "zzz", "priority": "medium"}[field]
    moving = sort.lstrip("-") == "updated_at"
    deleted, changed, seen = set(), set(), []
    for page in user.pages(f"tasks?sort={sort}&limit=6"):
        got = ids(page.json)
        assert not deleted & set(got)
        seen += got
        rest = [i for i in ids(start) if i not in alone and i not in deleted]
        # the last one shown is where the next page begins
        for victim in {choice.choice(rest), *({got[-1]} - alone - deleted)}:
            user.call("DELETE", f"tasks/{victim}").expect(200)
            deleted.add(victim)
        target = choice.choice([i for i in rest if i not in deleted] or [None])
        if target:
            user.call("PATCH", f"tasks/{target}", {field: value}).expect(200)
            changed.add(target)
        user.create(choice.choice(["Aa", "same", "zz"]), priority="low", due_date="2026-01-05")
    must = [i for i in ids(start) if i in alone or (
        not moving and i not in deleted)]
    assert [i for i in seen if i in set(must)] == must
    if not moving:
        assert len(seen) == len(set(seen))
    assert deleted and changed


def test_pages_while_a_writer_runs(stack, user):
    """Two readers and two writers at the same time."""
    fill(stack, user, 40)
    start = set(ids(user.tasks()))

    def work(i):
        if i % 2:
            for k in range(25):
                task = user.create(f"{i} {k}")
                user.call("DELETE", f"tasks/{task['id']}").expect(200)
            return None
        return [ids(user.tasks(f"tasks?sort={sort}&limit=9")) for sort in SORTS]

    for lists in at_once(4, work):
        for seen in lists or ():
            assert len(seen) == len(set(seen)) and start <= set(seen)


# --- cursors ------------------------------------------------------------------------------------


def cursor_of(answer):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(answer.next).query)["cursor"][0]


FILTERS = ["", "status=pending", "status=completed", "priority=low", "priority=high", "q=same",
           "q=Same",
           "tag=x", "due_before=2026-02-01", "due_after=2025-01-01", "sort=created_at",
           "sort=title",
           "sort=-title", "sort=priority", "sort=due_date", "sort=-due_date", "sort=updated_at",
           "status=pending&q=same", "status=completed&completed=false"]


def test_a_cursor_belongs_to_its_list(owner):
    """Filters and sort are part of it; the size of a page and the count are not."""
    for made in FILTERS:
        page = owner.call("GET", f"tasks?limit=1&{made}").expect(200)
        if not page.next:
            assert made in ("tag=x", "status=completed&completed=false")
            continue
        cursor = cursor_of(page)
        for used in FILTERS:
            a = owner.call("GET", f"tasks?limit=5&count=true&cursor={cursor}&{used}")
            if used == made:
                assert page.json[0] not in a.expect(200).json
            else:
                a.expect(400, "invalid_query")


@pytest.mark.parametrize("made,used", [
    ("sort_by=title&order=asc", "sort=title"), ("search=same", "q=same"), ("", "sort=-created_at"),
    ("completed=false", "status=pending"), ("status=all", ""), ("order=desc", ""),
])
def test_one_list_under_two_names(owner, made, used):
    """Its cursors can be exchanged."""
    cursor = cursor_of(owner.call("GET", f"tasks?limit=5&{made}").expect(200))
    assert (owner.tasks(f"tasks?limit=5&cursor={cursor}&{used}")
            == owner.tasks(f"tasks?{used}")[5:])


def test_a_cursor_belongs_to_its_user(stack, owner, user):
    fill(stack, user)
    for sort in SORTS:
        cursor = cursor_of(owner.call("GET", f"tasks?limit=5&sort={sort}").expect(200))
        user.call("GET", f"tasks?sort={sort}&cursor={cursor}").expect(400, "invalid_query")
    cursor = cursor_of(owner.call("GET", "/api/me/tasks?limit=5").expect(200))
    owner.call("GET", f"tasks?cursor={cursor}").expect(200)  # me and the id are one


def test_tasks_and_trash_have_cursors_of_their_own(user):
    for i in range(4):
        user.create(str(i))
    for task in user.tasks()[:2]:
        user.call("DELETE", f"tasks/{task['id']}").expect(200)
    of_tasks = cursor_of(user.call("GET", "tasks?limit=1").expect(200))
    of_trash = cursor_of(user.call("GET", "trash?limit=1").expect(200))
    user.call("GET", f"trash?cursor={of_tasks}").expect(400, "invalid_query")
    user.call("GET", f"tasks?cursor={of_trash}").expect(400, "invalid_query")
    assert len(user.call("GET", f"trash?cursor={of_trash}").expect(200).json) == 1


@pytest.mark.parametrize("sort", SORTS)
def test_edited_cursors(owner, sort):
    """What it is bound to cannot be changed; another place is a place, or none: never an error of
    ours, never somebody else's task."""
    page = owner.call("GET", f"tasks?limit=5&sort={sort}").expect(200)
    good = unb64url(cursor_of(page))

    def use(data):
        text = data if isinstance(data, str) else b64url(data)
        a = owner.call("GET", f"tasks?sort={sort}&cursor={urllib.parse.quote(text)}")
        if a.status != 400:
            assert all(t["user_id"] == owner.id for t in a.expect(200).json)
        else:
            assert a.code == "invalid_query"
        return a.status

    assert use(good) == 200
    for i in range(8):
        assert use(good[:i] + bytes([good[i] ^ 1]) + good[i + 1:]) == 400
    for i in range(8, len(good)):
        for mask in (0x01, 0x80, 0xff):
            use(good[:i] + bytes([good[i] ^ mask]) + good[i + 1:])
    for data in (good[:7], good[:8], good[:31], b"", good[:-1] if "title" not in sort else b"x"):
        assert use(data) == 400
    for text in (b64url(good) + "=", b64url(good) + "A", b64url(good)[:-1], " " + b64url(good),
                 b64url(good).swapcase(), "A" * 5000):
        assert use(text) == 400
    if "title" in sort:
        for tail in (b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"x" * 801):
            assert use(good[:32] + tail) == 400
        assert use(good[:32]) == 200
    else:
        assert use(good + b"x") == 400


# --- counts and links ---------------------------------------------------------------------------


def test_count(owner):
    for query, n in (("", N), ("status=pending", N // 2), ("limit=1", N), ("q=nowhere", 0),
                     ("status=pending&completed=true", 0), ("limit=3&sort=title", N)):
        for method in ("GET", "HEAD"):
            a = owner.call(method, f"tasks?count=true&{query}").expect(200)
            assert a.header("X-Total-Count") == str(n), query
    for query in ("", "count=false", "limit=3"):
        assert owner.call("GET", f"tasks?{query}").expect(200).header("X-Total-Count") is None


def test_the_count_is_the_same_on_every_page(owner):
    pages = list(owner.pages("tasks?count=true&limit=25&status=pending&sort=-priority"))
    assert [a.header("X-Total-Count") for a in pages] == [str(N // 2)] * 2


@pytest.mark.parametrize("query", [
    {"status": "pending", "search": "same", "sort_by": "title", "order": "desc", "limit": "2"},
    {"completed": "false", "q": "same", "priority": "low", "count": "true", "limit": "1"},
    {"due_after": "2025-12-31T23:00:00-01:00", "due_before": "2026-02-01", "sort": "-due_date",
     "limit": "3"},
    {"q": 'same -"a&b=c" -<x>; -ü +#%', "limit": "1"},
    {"tag": 'a b, "c" <d>; ü&+%=', "limit": "1", "sort": "title"},
])
def test_a_link_carries_the_whole_query(stack, user, query):
    """Encoded, in the same order of things; whoever follows it needs nothing else."""
    fill(stack, user)
    tag = query.get("tag")
    if tag:
        stack.sql.run("update taskcell.tasks set tags = array['%s'] where user_id = '%s'"
                      % (tag, user.id))
    a = user.call("GET", "tasks?" + urllib.parse.urlencode(query)).expect(200)
    assert a.next.startswith(f"/api/{user.id}/tasks?")
    carried = urllib.parse.parse_qs(urllib.parse.urlsplit(a.next).query, strict_parsing=True)
    assert set(carried) == {*query, "cursor"}
    assert {k: carried[k] for k in query} == {k: [v] for k, v in query.items()}
    without = {k: v for k, v in query.items() if k not in ("limit", "count")}
    whole = user.tasks("tasks?" + urllib.parse.urlencode(without))
    assert len(whole) > int(query["limit"])
    assert user.tasks("tasks?" + urllib.parse.urlencode(query)) == whole


def test_a_query_too_long_for_its_link(owner):
    """Refused at once, not on the last page that can still be written."""
    owner.call("GET", "tasks?limit=1&q=" + "x" * 3000).expect(400, "invalid_query")
    owner.call("GET", "tasks?limit=1&sort=title&q=same+-" + "%C3%A4" * 90).expect(200)
