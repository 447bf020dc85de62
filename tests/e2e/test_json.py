"""Bodies are read strictly."""

import pytest

DEEP = b'{"title":"x","u":%s%s}'


@pytest.mark.parametrize("body", [
    # not one object
    b"[]", b'[{"title":"x"}]', b'"title"', b"5", b"true", b"null", b" ", b"\n\t",
    b'{"title":"x"}{}', b'{"title":"x"} x', b'{"title":"x"},', b'{"title":"x"}\x00',
    b'{"title":"x"}]',
    b"{", b'{"title"', b'{"title":', b'{"title":"x"', b'{"title":"x",', b'{"title":"x',
    # a duplicate key, anywhere and however spelt
    b'{"title":"x","title":"y"}', b'{"title":"x","title":"x"}', b'{"title":"x","t\\u0069tle":"y"}',
    b'{"title":"x","u":{"a":1,"a":1}}', b'{"title":"x","u":[{"a":1,"b":2,"a":3}]}',
    b'{"title":"x","":1,"":2}', b'{"title":"x","u":1,"u":1}',
    # U+0000
    b'{"title":"\\u0000"}', b'{"title":"x","\\u0000":1}', b'{"title":"x","u":["a\\u0000b"]}',
    b'{"title\\u0000":"x","title":"y"}', b'{"title":"\x00"}',
    # invalid UTF-8: stray, cut, overlong, surrogates, beyond the end
    b'{"title":"\x80"}', b'{"title":"\xff"}', b'{"title":"\xc3"}', b'{"title":"\xc3("}',
    b'{"title":"\xc0\x80"}', b'{"title":"\xc1\xbf"}', b'{"title":"\xe0\x80\xaf"}',
    b'{"title":"\xf0\x80\x80\xaf"}', b'{"title":"\xed\xa0\x80"}',
    b'{"title":"\xed\xa0\xbd\xed\xb8\x80"}',
    b'{"title":"\xf4\x90\x80\x80"}', b'{"title":"\xf8\x88\x80\x80\x80"}', b'{"title":"\xe2\x82"}',
    b'{"title":"x","\xff":1}', b"\xff\xfe{\x00}\x00", '{"title":"x"}'.encode("utf-16"),
    # lone surrogates
    b'{"title":"\\ud800"}', b'{"title":"\\udc00"}', b'{"title":"\\udc00\\ud800"}',
    b'{"title":"\\ud800x"}', b'{"title":"\\ud800\\ud800"}', b'{"title":"\\ud83d\\n"}',
    b'{"title":"x","\\ud800":1}', b'{"title":"x","u":"\\uDFFF"}',
    # depth over 8
    DEEP % (b"[" * 8, b"]" * 8), DEEP % (b'{"a":' * 8, b"1" + b"}" * 8),
    DEEP % (b"[" * 5000, b"]" * 5000), b"[" * 60000, b'{"a":' * 10000, b"{" * 60000,
    # what other parsers let pass
    b"{'title':'x'}", b'{title:"x"}', b'{"title":x}', b'{"title":"x",}', b'{,"title":"x"}',
    b'{"title":"x",,"u":1}', b'{"title" "x"}', b'{"title":"x";"u":1}', b'{"title":"x"/**/}',
    b'{"title":"x"}//', b'\xef\xbb\xbf{"title":"x"}', b'{"title":"x","u":NaN}',
    b'{"title":"x","u":Infinity}', b'{"title":"x","u":-Infinity}', b'{"title":"x","u":undefined}',
    b'{"title":"x","u":True}', b'{"title":"x","u":TRUE}', b'{"title":"x","u":nul}',
    b'{"title":"x","u":truex}', b'{"title":"x","u":[1,]}', b'{"title":"x","u":[,1]}',
    b'{"title":"x","u":[1 2]}', b'{"title":"x","u":(1)}', b'{"title":"x","u":}',
    b'{"title":"x","u":01}', b'{"title":"x","u":-}', b'{"title":"x","u":+1}',
    b'{"title":"x","u":.5}',
    b'{"title":"x","u":1.}', b'{"title":"x","u":1e}', b'{"title":"x","u":1e+}',
    b'{"title":"x","u":0x10}', b'{"title":"x","u":1_000}', b'{"title":"x","u":--1}',
    b'{"title":"x","u":-01}', b'{"title":"x","u":1.e1}',
    # strings
    b'{"title":"a\tb"}', b'{"title":"a\nb"}', b'{"title":"a\x1fb"}', b'{"title":"\\x41"}',
    b'{"title":"\\u12"}', b'{"title":"\\u12g4"}', b'{"title":"\\U00000041"}', b'{"title":"\\\'"}',
    b'{"title":"\\"}', b'{"title":"\\0"}', b'{"ti\ntle":"x"}', b'{"title":"\\u 041"}',
    b'{"title":"\\u+041"}',
    # white space that JSON does not have
    b'\x0c{"title":"x"}', b'{"title":\x0b"x"}', b'{"title":\xc2\xa0"x"}',
    b'\xe2\x80\xa8{"title":"x"}',
    b'{"title":"x"}\x85', b'){"title":"x"}', b'for(;;);{"title":"x"}',
    # keys
    b'{1:"x"}', b'{null:1}', b'{"title":"x",:1}', b'{"title"::"x"}', b'{["title"]:"x"}',
])
def test_refused(user, body):
    user.call("POST", "tasks", body).expect(400, "invalid_json")


def test_refused_makes_nothing_anywhere(user):
    task = user.create("kept")
    for body in (b"[]", b'{"title":"x","title":"y"}', b'{"title":"\\ud800"}', b"{", b"null"):
        user.call("PUT", f"tasks/{task['id']}", body).expect(400, "invalid_json")
        user.call("PATCH", f"tasks/{task['id']}", body).expect(400, "invalid_json")
        user.call("POST", f"tasks/{task['id']}/complete", body).expect(400, "invalid_json")
        for path in ("register", "login", "refresh", "logout"):
            user.http.request("POST", f"/api/auth/{path}", body).expect(400, "invalid_json")
    assert user.tasks() == [task]
    assert user.alive()


@pytest.mark.parametrize("body,title", [
    (b'{"title":"x"}', "x"), (b' \t\r\n{ "title" : "x" } \n', "x"),
    (b'{"t\\u0069tle":"spelt"}', "spelt"), (b'{"title":"\\ud83d\\ude00"}', "\U0001f600"),
    (b'{"title":"\\u00e9\\u4e2d"}', "\u00e9\u4e2d"), (b'{"title":"\\/\\\\\\"\\b"}', '/\\"\b'),
    (b'{"title":"\xf4\x8f\xbf\xbf"}', "\U0010ffff"), (b'{"title":"\xef\xbf\xbf"}', "\uffff"),
    (b'{"title":"\\uFFFE\\uffff"}', "\ufffe\uffff"), (b'{"title":"\x7f"}', "\x7f"),
    (b'{"title":"x","u":-0,"v":0,"w":1e999,"x":-1.5E-7,"y":123456789012345678901234567890}', "x"),
    (b'{"title":"x","u":[],"v":{},"w":[[]],"x":null,"y":true,"z":false}', "x"),
    (DEEP % (b"[" * 7, b"]" * 7), "x"), (DEEP % (b'{"a":' * 6, b"{}" + b"}" * 6), "x"),
    (b'{"title":"x","":"","Title":"y","TITLE":1}', "x"), (b'{"title":"\\\\u0000"}', "\\u0000"),
    (b'{"title":"x","u":{"title":"y"},"v":{"title":"z"}}', "x"),
])
def test_accepted(user, body, title):
    assert user.call("POST", "tasks", body).expect(201).json["title"] == title


def test_many_members(user):
    body = "{" + ",".join(f'"k{i}":{i}' for i in range(5000)) + ',"title":"last"}'
    assert user.call("POST", "tasks", body.encode()).expect(201).json["title"] == "last"
    a = user.call("POST", "tasks", body.encode(), headers={"Prefer": "handling=strict"})
    assert 1 <= len(a.expect(422).json["errors"]) <= 16


def test_odd_names_of_unknown_members_come_back_whole(user):
    """The errors name them, whatever is in them."""
    for name in ('"', "\\", "\n", "\U0001f600", "a" * 3000, "</script>", "\u2028"):
        a = user.call("POST", "tasks", {"title": "x", name: 1},
                      headers={"Prefer": "handling=strict"}).expect(422)
        field = a.json["errors"][0]["field"]
        assert field == name or len(name) > 100 and name.startswith(field)
