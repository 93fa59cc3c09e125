"""What both clients do, without doing any input or output."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import httpx

from ._errors import ApiError, InternalError, error_of
from ._types import Event, FileContent, Json, Output, Result, Started, details_of

STREAM: Final = "text/event-stream"


class Unset:
    """No input, which None is."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


def request_body(
    script: str,
    input: Json | Unset,
    stdin: str | None,
    files: Mapping[str, FileContent] | None,
    env: Mapping[str, str] | None,
    timeout: float | None,
    memory_mb: int | None,
    allow: Sequence[str] | None,
    details: bool,
) -> bytes:
    body: dict[str, Any] = {"script": script}
    if not isinstance(input, Unset):
        body["input"] = input
    if stdin is not None:
        body["stdin"] = stdin
    if files:
        body["files"] = [_file(path, content) for path, content in files.items()]
    if env:
        body["env"] = dict(env)
    if timeout is not None:
        try:
            body["timeout_ms"] = math.ceil(timeout * 1000)
        except (OverflowError, ValueError):  # infinite, NaN
            raise ValueError(f"timeout is {timeout}, not a number of seconds such as 2.5; None is the server's own") from None
    if memory_mb is not None:
        body["memory_mb"] = memory_mb
    if allow is not None:
        body["network"] = {"allow": list(allow)}
    if details:
        body["details"] = True
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    except ValueError as error:  # NaN, a circle, more digits than Python's limit
        raise ValueError(f"input cannot be sent as JSON: {error}") from None
    return text.encode()


def _file(path: str, content: FileContent) -> dict[str, str]:
    if isinstance(content, str):
        return {"path": path, "content": content}
    return {"path": path, "content_base64": base64.b64encode(content).decode("ascii")}


def headers(api_key: str | None) -> dict[str, str]:
    if not api_key:
        return {}
    if not re.fullmatch("[!-~]+", api_key):  # the key itself stays out of the message
        raise ValueError("api_key has a character that a key cannot have: it is ASCII, without spaces and line ends")
    return {"Authorization": f"Bearer {api_key}"}


def loads(text: bytes | str) -> Json:
    """json.loads, whatever Python's limit on the digits of an integer: it is the whole process's, so it stays."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int:
    if digits.startswith("-"):
        return -_integer(digits[1:])
    if len(digits) <= 640:  # the least that the limit can be
        return int(digits)
    low = len(digits) // 2
    shift: int = 10**low
    return _integer(digits[:-low]) * shift + _integer(digits[-low:])


def read(answer: httpx.Response) -> Result:
    """The result of a whole answer; raises its error."""
    body = _body(answer)
    if answer.status_code == 200 and isinstance(body, dict) and "result" in body:
        return _result(body, answer)
    raise _complete(error_of(answer.status_code, body), answer, answer.headers.get("Retry-After"))


def read_health(answer: httpx.Response) -> dict[str, Json]:
    """What GET /health says; raises what is something else."""
    body = _body(answer)
    if answer.status_code in (200, 503) and isinstance(body, dict) and "status" in body:
        return body
    raise _complete(error_of(answer.status_code, body), answer, answer.headers.get("Retry-After"))


def _body(answer: httpx.Response) -> Json:
    try:
        return loads(answer.content)
    except ValueError:
        return None


def _result(body: Mapping[str, Json], answer: httpx.Response) -> Result:
    return Result(body["result"], body.get("stdout", ""), details_of(body), answer.headers.get("X-Request-Id"))


def _complete(error: ApiError, answer: httpx.Response, retry_after: Any) -> ApiError:
    error.request_id = answer.headers.get("X-Request-Id")
    try:
        error.retry_after = max(0.0, float(int(retry_after))) if retry_after is not None else None
    except ValueError:
        error.retry_after = None
    return error


def wait_before_retry(error: ApiError, attempt: int, retries: int, longest: float) -> float | None:
    """Seconds after which the request may be sent again; None where it must not be."""
    if not error.retryable or attempt >= retries or error.retry_after is None or error.retry_after > longest:
        return None
    return error.retry_after


def is_stream(answer: httpx.Response) -> bool:
    kind: str = answer.headers.get("Content-Type", "")
    return kind.split(";")[0].strip() == STREAM


def unstreamed(result: Result) -> Iterator[Event]:
    """The events of a run of which only the end was heard."""
    if result.stdout:
        yield Output("stdout", result.stdout)
    if result.details and result.details.stderr:
        yield Output("stderr", result.details.stderr)
    yield result


class Listener:
    """Makes events of the lines of a stream (server-sent events)."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer
        self._rest: list[bytes] = []  # of a line, in the pieces that it came in
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        # By hand, since httpx's lines end at characters that JSON may hold.
        self._rest.append(chunk)
        if b"\n" not in chunk:
            return  # joined once, at its end: a line may have many MB
        *lines, rest = b"".join(self._rest).split(b"\n")
        self._rest = [rest]
        for line in lines:
            event = self._line(line.rstrip(b"\r").decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                self._name = value
            elif field == "data":
                self._data.append(value)
            return None
        name, data = self._name, "\n".join(self._data)
        self._name, self._data = "", []
        return self._event(name, data)

    def _event(self, name: str, data: str) -> Event | None:
        if name not in ("started", "stdout", "stderr", "result", "error"):
            return None
        try:
            body = loads(data)
        except ValueError:
            raise InternalError("internal", f"an event {name} that is not JSON", 200, {}, {}) from None
        if name == "started":
            return Started()
        if name == "stdout":
            return Output("stdout", body["text"])
        if name == "stderr":
            return Output("stderr", body["text"])
        if name == "result":
            return _result(body, self._answer)
        raise _complete(error_of(body.get("status", 500), body), self._answer, body.get("retry_after"))
