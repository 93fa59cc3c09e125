"""Tests against the real server at $PYEXEC_URL, and of what may be sent again."""

from __future__ import annotations

import asyncio
import copy
import json
import multiprocessing
import os
import pickle
import sys
import time
import unittest
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import aclosing

import httpx

import pyexec_client as p

URL = os.environ.get("PYEXEC_URL", "http://localhost:8080")

FAILURES: list[tuple[type[p.ScriptError], str, dict[str, object]]] = [
    (p.InvalidRequest, "", {}),
    (p.ScriptSyntaxError, "def main(:", {"line": 1}),
    (p.MissingMain, "x = 1", {}),
    (p.MissingReturn, "def main():\n    pass", {"line": 1}),
    (p.PolicyViolation, "def main():\n    return eval('1')", {"line": 2, "operation": "eval"}),
    (p.ScriptException, "def main():\n    print('x')\n    return [][1]", {"line": 3, "exception": "IndexError", "stdout": "x\n"}),
    (p.Exited, "import sys\ndef main():\n    sys.exit(3)\n    return 1", {"exit_status": 3}),
    (p.InvalidResult, "def main():\n    return {'a': {1}}", {"path": "$.a"}),
    (p.Killed, "import signal\ndef main():\n    signal.raise_signal(9)\n    return 1", {"signal": "SIGKILL"}),
    (p.OutputLimit, "def main():\n    return 'x' * (9 << 20)", {}),
    (p.DiskLimit, "def main():\n    with open('x', 'wb') as f:\n        while True: f.write(bytes(1 << 20))", {}),
]
EVERYTHING = """
import os, sys
def main(data):
    print(sys.stdin.read(), os.environ["WHO"])
    print("e", file=sys.stderr)
    os.mkdir("output")
    open("output/x.bin", "wb").write(open("in/a.bin", "rb").read() + open("b.txt", "rb").read())
    return {"data": data, "large": 12345678901234567890123}
"""


class RealServer(unittest.TestCase):
    def setUp(self) -> None:
        self.client = p.Client(URL)
        self.addCleanup(self.client.close)

    def test_everything(self) -> None:
        got = self.client.execute(
            EVERYTHING, input={"n": None}, stdin="in", env={"WHO": "ü"}, timeout=5, memory_mb=256, details=True,
            files={"in/a.bin": b"\x00\xff", "b.txt": "b"},
        )
        self.assertEqual(got.result, {"data": {"n": None}, "large": 12345678901234567890123})
        self.assertEqual(got.stdout, "in ü\n")
        details = got.details
        assert details is not None
        self.assertEqual((details.stderr, details.id), ("e\n", got.request_id))
        self.assertGreater(details.usage.memory_bytes, 0)
        self.assertEqual([(f.path, f.content) for f in details.files], [("output/x.bin", b"\x00\xffb")])
        self.assertTrue(details.isolation["layers"]["seccomp"]["active"])

    def test_integers_of_many_digits(self) -> None:
        digits = sys.get_int_max_str_digits()
        script = "def main():\n    return [10**5000, -(10**5000) + 1, 7**20000, 3, 10**640 - 1]"
        want = p.Result([10**5000, -(10**5000) + 1, 7**20000, 3, 10**640 - 1], "")
        self.assertTrue(self.client.execute(script) == want)  # not assertEqual: it would print them, which Python refuses
        self.assertTrue(list(self.client.stream(script))[-1] == want)
        self.assertEqual(sys.get_int_max_str_digits(), digits)

    def test_none_is_an_input(self) -> None:
        script = "def main(*data):\n    return list(data)"
        self.assertEqual(self.client.execute(script, input=None), p.Result([None], ""))
        self.assertEqual(self.client.execute(script), p.Result([], ""))

    def test_failures(self) -> None:
        for cls, script, fields in FAILURES:
            with self.subTest(cls.__name__), self.assertRaises(cls) as caught:
                self.client.execute(script)
            error = caught.exception
            self.assertEqual(error.status, 400)
            self.assertTrue(error.message and error.request_id)
            self.assertFalse(error.retryable)
            self.assertEqual({name: getattr(error, name) for name in fields}, fields)
        with self.assertRaises(p.RunTimeout) as slow:
            self.client.execute("def main():\n    while True: pass", timeout=0.1)
        self.assertEqual(slow.exception.limit_ms, 100)
        with self.assertRaises(p.MemoryLimit):
            self.client.execute("def main():\n    return len(bytearray(b'x') * (200 << 20))", memory_mb=64)
        with self.assertRaises(p.TooLarge):
            self.client.execute("#" * (3 << 20))
        self.assertIsNone(slow.exception.hint)
        with self.assertRaises(AttributeError):
            slow.exception.nonsense  # type: ignore[attr-defined]

    def test_stream(self) -> None:
        script = "import sys\ndef main():\n    print('one\\u2028\\ntwo')\n    print('e', file=sys.stderr)\n    return 'r'"
        events = list(self.client.stream(script, details=True))
        texts = {s: "".join(e.text for e in events if isinstance(e, p.Output) and e.stream == s) for s in ("stdout", "stderr")}
        last = events[-1]
        assert isinstance(last, p.Result) and last.details is not None
        self.assertEqual(last.result, "r")
        self.assertEqual(texts, {"stdout": last.stdout, "stderr": last.details.stderr})
        self.assertEqual(last.stdout, "one\u2028\ntwo\n")
        with self.assertRaises(p.ScriptException) as caught:
            list(self.client.stream("def main():\n    print('x')\n    return 1 / 0"))
        self.assertEqual((caught.exception.stdout, caught.exception.status), ("x\n", 400))

    def test_stream_that_is_left(self) -> None:
        endless = "def main():\n    print('x')\n    while True: pass"
        self.assertIn(p.Output("stdout", "x\n"), (e for e in self.client.stream(endless)))

        async def run() -> None:
            async with p.AsyncClient(URL) as client, aclosing(client.stream(endless)) as events:
                async for event in events:
                    if event == p.Output("stdout", "x\n"):
                        return
            self.fail("it was not heard of what was printed")

        asyncio.run(run())

    def test_health(self) -> None:
        self.assertEqual(self.client.health()["status"], "ok")

    def test_async(self) -> None:
        async def run() -> None:
            async with p.AsyncClient(URL) as client:
                answers = await asyncio.gather(*(client.execute("def main(n):\n    return n", input=n) for n in range(4)))
                self.assertEqual([a.result for a in answers], [0, 1, 2, 3])
                for cls, script, _ in FAILURES[:4]:
                    with self.assertRaises(cls):
                        await client.execute(script)
                events = [e async for e in client.stream("def main():\n    print('x')\n    return 1")]
                self.assertIn(p.Output("stdout", "x\n"), events)
                self.assertEqual(events[-1], p.Result(1, "x\n"))
                self.assertEqual((await client.health())["status"], "ok")
                began = time.monotonic()
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.execute("def main():\n    while True: pass"), 0.3)
                self.assertLess(time.monotonic() - began, 5)

        asyncio.run(run())


REFUSED = {"error": {"type": "overloaded", "message": "full", "started": False}}
RESULT = httpx.Response(200, json={"result": 1, "stdout": ""})


def answers(*list_of: httpx.Response) -> tuple[Callable[[httpx.Request], httpx.Response], list[httpx.Request]]:
    """A transport that answers these in turn, and what it was sent."""
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        answer = list_of[min(len(sent), len(list_of)) - 1]
        if isinstance(answer.stream, httpx.ByteStream):  # which may be read once
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer

    return handle, sent


class Retries(unittest.TestCase):
    def calls(self, *list_of: httpx.Response) -> tuple[int, object]:
        outcomes: list[tuple[int, object]] = []
        for stream in (False, True):
            handle, sent = answers(*list_of)
            with p.Client("http://x", transport=httpx.MockTransport(handle)) as client:
                got: object
                try:
                    got = list(client.stream("x"))[-1] if stream else client.execute("x")
                except p.PyexecError as error:
                    got = type(error)
            outcomes.append((len(sent), got))
        self.assertEqual(outcomes[0], outcomes[1])

        async def later() -> tuple[int, object]:
            handle, sent = answers(*list_of)
            async with p.AsyncClient("http://x", transport=httpx.MockTransport(handle)) as client:
                got: object
                try:
                    got = await client.execute("x")
                except p.PyexecError as error:
                    got = type(error)
                return len(sent), got

        self.assertEqual(asyncio.run(later()), outcomes[0])
        return outcomes[0]

    def test_only_what_was_not_begun(self) -> None:
        def refused(status: int, after: str | None, body: object = REFUSED) -> httpx.Response:
            return httpx.Response(status, headers={} if after is None else {"Retry-After": after}, json=body)

        begun = {"error": {"type": "unavailable", "message": "lost", "started": True}}
        slow = {"error": {"type": "timeout", "message": "slow"}}
        self.assertEqual(self.calls(refused(503, "0"), RESULT), (2, p.Result(1, "")))
        self.assertEqual(self.calls(refused(429, "0", {"error": {"type": "rate_limited", "message": ""}}), RESULT), (2, p.Result(1, "")))
        self.assertEqual(self.calls(refused(503, "0")), (3, p.Overloaded))
        self.assertEqual(self.calls(refused(503, None)), (1, p.Overloaded))
        self.assertEqual(self.calls(refused(503, "60")), (1, p.Overloaded))
        self.assertEqual(self.calls(refused(503, "soon")), (1, p.Overloaded))
        self.assertEqual(self.calls(refused(503, "0", begun)), (1, p.Unavailable))
        self.assertEqual(self.calls(refused(400, "0", slow)), (1, p.RunTimeout))
        self.assertEqual(self.calls(httpx.Response(307, headers={"Location": "http://y/"})), (1, p.InternalError))
        self.assertEqual(self.calls(httpx.Response(200, text="<html>")), (1, p.InternalError))
        self.assertEqual(self.calls(httpx.Response(503, headers={"Retry-After": "0"}, text="<html>")), (1, p.InternalError))

    def test_connection(self) -> None:
        with p.Client("http://127.0.0.1:1") as client, self.assertRaises(p.ConnectionFailed):
            client.execute("x")
        for url in ("", "localhost:8080", "ftp://x"):
            with self.assertRaises(ValueError):
                p.Client(url)

    def test_key(self) -> None:
        handle, sent = answers(RESULT)
        with p.Client("http://x", api_key="k", transport=httpx.MockTransport(handle)) as client:
            client.execute("x", input=float(1), allow=[])
        self.assertEqual(sent[0].headers["Authorization"], "Bearer k")
        self.assertEqual(json.loads(sent[0].content), {"script": "x", "input": 1.0, "network": {"allow": []}})


class Bodies(unittest.TestCase):
    def test_what_cannot_be_sent(self) -> None:
        circle: list[object] = []
        circle.append(circle)
        handle, sent = answers(RESULT)
        with p.Client("http://x", transport=httpx.MockTransport(handle)) as client:
            for input in (10**5000, [float("nan")], circle):
                with self.assertRaisesRegex(ValueError, "^input cannot be sent as JSON: "):
                    client.execute("x", input=input)
        self.assertEqual(sent, [])

    def test_wrong_arguments(self) -> None:
        with p.Client("http://x", transport=httpx.MockTransport(answers(RESULT)[0])) as client:
            for timeout in (float("inf"), float("-inf"), float("nan"), 1e308):
                with self.assertRaisesRegex(ValueError, "^timeout is .* a number of seconds"):
                    client.execute("x", timeout=timeout)
        for key in ("schlüssel", "secret\n", "a secret", "\x7f"):
            for cls in (p.Client, p.AsyncClient):
                with self.assertRaisesRegex(ValueError, "^api_key has a character") as caught:
                    cls("http://x", api_key=key)
                self.assertFalse("secret" in str(caught.exception))
                self.assertNotIsInstance(caught.exception, UnicodeError)

    def test_integers_of_many_digits(self) -> None:
        for number in ("9" * 5001, "-1" + "0" * 100_000, "1" + "0" * 640):
            handle, _ = answers(httpx.Response(200, content=f'{{"result": [{number}, 1], "stdout": ""}}'.encode()))
            with p.Client("http://x", transport=httpx.MockTransport(handle)) as client:
                got, one = client.execute("x").result
            sign = -1 if number.startswith("-") else 1
            want = 10**5001 - 1 if number.startswith("9") else sign * 10 ** (len(number.lstrip("-")) - 1)
            self.assertTrue(got == want and one == 1)  # not assertEqual: it would print them, which Python refuses


class Errors(unittest.TestCase):
    def error(self, body: object) -> p.ApiError:
        handle, _ = answers(httpx.Response(400, headers={"X-Request-Id": "r"}, json=body))
        with p.Client("http://x", transport=httpx.MockTransport(handle)) as client:
            with self.assertRaises(p.ApiError) as caught:
                client.execute("x")
        return caught.exception

    def test_fields(self) -> None:
        # mypy checks these too: it says where one of them is not an error.
        error = self.error({"error": {"type": "exception", "message": "m", "line": 2, "type_": 1}})
        line: int | None = error.line
        hint: str | None = error.hint
        self.assertEqual((line, hint), (2, None))
        for name in ("nonsense", "type_", "__fields__"):
            self.assertFalse(hasattr(error, name), name)
        with self.assertRaises(AttributeError):
            error.nonsense  # type: ignore[attr-defined]


    def test_they_go_between_processes(self) -> None:
        usage = {"wall_ms": 1}
        error = self.error({"error": {"type": "exception", "message": "m", "line": 2}, "stdout": "s", "usage": usage, "files": []})
        error.retry_after = 1.5
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            with self.assertRaises(p.ScriptException) as caught:
                pool.submit(fail, error).result()
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error), caught.exception):
            self.assertIs(type(again), p.ScriptException)
            self.assertEqual((str(again), again.args), (str(error), error.args))
            self.assertEqual({name: getattr(again, name) for name in vars(error)}, vars(error))
        with self.assertRaises(p.ConnectionFailed):
            raise pickle.loads(pickle.dumps(p.ConnectionFailed("x")))


def fail(error: Exception) -> None:
    raise error


class Health(unittest.TestCase):
    def health(self, answer: httpx.Response) -> object:
        """What both clients give, or the type of what they raise."""

        async def later() -> object:
            async with p.AsyncClient("http://x", transport=httpx.MockTransport(answers(answer)[0])) as client:
                try:
                    return await client.health()
                except p.PyexecError as error:
                    return type(error)

        got: object
        with p.Client("http://x", transport=httpx.MockTransport(answers(answer)[0])) as client:
            try:
                got = client.health()
            except p.PyexecError as error:
                got = type(error)
        self.assertEqual(asyncio.run(later()), got)
        return got

    def test_only_what_is_one(self) -> None:
        ill = {"status": "unavailable", "reason": "the last run failed"}
        self.assertEqual(self.health(httpx.Response(200, json={"status": "ok"})), {"status": "ok"})
        self.assertEqual(self.health(httpx.Response(503, json=ill)), ill)
        self.assertEqual(self.health(httpx.Response(404, json={"error": {"type": "not_found", "message": ""}})), p.NotFound)
        self.assertEqual(self.health(httpx.Response(401, json={"error": {"type": "unauthenticated", "message": ""}})), p.Unauthenticated)
        self.assertEqual(self.health(httpx.Response(404, json={"status": 404})), p.InternalError)
        self.assertEqual(self.health(httpx.Response(200, text="<html>")), p.InternalError)
        self.assertEqual(self.health(httpx.Response(200, json=[])), p.InternalError)


class Streams(unittest.TestCase):
    def events(self, *chunks: bytes) -> list[p.Event]:
        stream = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=iter(chunks))
        handle, _ = answers(stream)
        with p.Client("http://x", transport=httpx.MockTransport(handle)) as client:
            return list(client.stream("x"))

    def test_any_cut(self) -> None:
        text = (
            ': waiting\n\nevent: started\ndata: {"id":"1"}\n\nevent: stdout\r\ndata: {"text":"ü\u2028"}\r\n\r\n'
            'event: later\ndata: x\n\nevent: result\ndata: {"result":\ndata: 1}\n\n'
        ).encode()
        want: list[p.Event] = [p.Started(), p.Output("stdout", "ü\u2028"), p.Result(1, "")]
        for size in (1, 7, len(text)):
            self.assertEqual(self.events(*(text[i : i + size] for i in range(0, len(text), size))), want)

    def test_a_long_event(self) -> None:
        text = json.dumps({"result": "x" * (4 << 20)})
        data = f"event: result\ndata: {text}\n\n".encode()
        began = time.process_time()
        last = self.events(*(data[i : i + 256] for i in range(0, len(data), 256)))[-1]
        assert isinstance(last, p.Result)
        self.assertEqual(len(last.result), 4 << 20)
        self.assertLess(time.process_time() - began, 3)  # 15 s if each piece is joined to the line

    def test_bad_ends(self) -> None:
        with self.assertRaises(p.ConnectionFailed):
            self.events(b'event: stdout\ndata: {"text":"a"}\n\n')
        with self.assertRaises(p.Unavailable):
            self.events(b'event: error\ndata: {"status":503,"error":{"type":"unavailable","message":"","started":true}}\n\n')
        with self.assertRaises(p.InternalError):
            self.events(b"event: result\ndata: {\n\n")


if __name__ == "__main__":
    unittest.main()
