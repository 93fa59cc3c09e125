from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from types import TracebackType
from typing import Any

import httpx

from . import _protocol as protocol
from ._errors import ApiError, ConnectionFailed
from ._protocol import UNSET, Unset
from ._types import Event, FileContent, Json, Result

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)


class _Settings:
    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        retries: int,
        longest_wait: float,
        http_timeout: float,
    ) -> None:
        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"{base_url!r} is not a URL such as http://localhost:8080")
        self._retries = retries
        self._longest_wait = longest_wait
        self._options: dict[str, Any] = {
            "base_url": url,
            "headers": protocol.headers(api_key),
            "timeout": http_timeout,
            "limits": _LIMITS,
            "follow_redirects": False,  # a run must not be sent on to somewhere else
        }

    def _wait(self, error: ApiError, attempt: int) -> float | None:
        return protocol.wait_before_retry(error, attempt, self._retries, self._longest_wait)

    @staticmethod
    def _post(body: bytes, stream: bool = False) -> dict[str, Any]:
        accept = f"{protocol.STREAM}, application/json;q=0.9" if stream else "application/json"
        return {
            "method": "POST",
            "url": "/execute",
            "content": body,
            "headers": {"Content-Type": "application/json", "Accept": accept},
        }


class Client(_Settings):
    """Calls a server; safe for threads.

    `retries` is how often a request that the server has refused before it
    began is sent again, where it says when to come back and that is within
    `longest_wait` seconds. Nothing that may have run is ever sent again.
    `http_timeout` is the longest silence of the server, in seconds.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8080",
        *,
        api_key: str | None = None,
        retries: int = 2,
        longest_wait: float = 30.0,
        http_timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(base_url, api_key=api_key, retries=retries, longest_wait=longest_wait, http_timeout=http_timeout)
        self._http = httpx.Client(transport=transport, **self._options)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def execute(
        self,
        script: str,
        *,
        input: Json | Unset = UNSET,
        stdin: str | None = None,
        files: Mapping[str, FileContent] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        memory_mb: int | None = None,
        allow: Sequence[str] | None = None,
        details: bool = False,
    ) -> Result:
        """Runs a script. `timeout` is in seconds; both limits only lower the server's."""
        body = protocol.request_body(script, input, stdin, files, env, timeout, memory_mb, allow, details)
        attempt = 0
        while True:
            try:
                return protocol.read(self._http.request(**self._post(body)))
            except ApiError as error:
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
            except httpx.HTTPError as error:
                raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
            attempt += 1
            time.sleep(wait)

    def stream(
        self,
        script: str,
        *,
        input: Json | Unset = UNSET,
        stdin: str | None = None,
        files: Mapping[str, FileContent] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        memory_mb: int | None = None,
        allow: Sequence[str] | None = None,
        details: bool = False,
    ) -> Generator[Event, None, None]:
        """Runs a script and tells of it while it goes on; the last event is the Result.

        An iterator that is closed before its end ends the run.
        """
        body = protocol.request_body(script, input, stdin, files, env, timeout, memory_mb, allow, details)
        attempt = 0
        while True:
            try:
                with closing(self._events(body)) as events:
                    yield from events
                return
            except ApiError as error:
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
            except httpx.HTTPError as error:
                raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
            attempt += 1
            time.sleep(wait)

    def _events(self, body: bytes) -> Generator[Event, None, None]:
        with self._http.stream(**self._post(body, stream=True)) as answer:
            if not protocol.is_stream(answer):
                answer.read()
                yield from protocol.unstreamed(protocol.read(answer))
                return
            listener = protocol.Listener(answer)
            for chunk in answer.iter_bytes():
                for event in listener.feed(chunk):
                    yield event
                    if isinstance(event, Result):
                        return
        raise ConnectionFailed("the stream ended before the result")

    def health(self) -> dict[str, Json]:
        """What GET /health says, also where it says that the server is not well."""
        try:
            return protocol.read_health(self._http.get("/health"))
        except httpx.HTTPError as error:
            raise ConnectionFailed(f"{type(error).__name__}: {error}") from error


class AsyncClient(_Settings):
    """`Client` for asyncio: the same methods, with `await` and `async for`."""

    def __init__(
        self,
        base_url: str = "http://localhost:8080",
        *,
        api_key: str | None = None,
        retries: int = 2,
        longest_wait: float = 30.0,
        http_timeout: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(base_url, api_key=api_key, retries=retries, longest_wait=longest_wait, http_timeout=http_timeout)
        self._http = httpx.AsyncClient(transport=transport, **self._options)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def execute(
        self,
        script: str,
        *,
        input: Json | Unset = UNSET,
        stdin: str | None = None,
        files: Mapping[str, FileContent] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        memory_mb: int | None = None,
        allow: Sequence[str] | None = None,
        details: bool = False,
    ) -> Result:
        """Runs a script. A task that is cancelled ends the run."""
        body = protocol.request_body(script, input, stdin, files, env, timeout, memory_mb, allow, details)
        attempt = 0
        while True:
            try:
                return protocol.read(await self._http.request(**self._post(body)))
            except ApiError as error:
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
            except httpx.HTTPError as error:
                raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
            attempt += 1
            await asyncio.sleep(wait)

    async def stream(
        self,
        script: str,
        *,
        input: Json | Unset = UNSET,
        stdin: str | None = None,
        files: Mapping[str, FileContent] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        memory_mb: int | None = None,
        allow: Sequence[str] | None = None,
        details: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Runs a script and tells of it while it goes on; the last event is the Result.

        To end the run, close the iterator (contextlib.aclosing does).
        """
        body = protocol.request_body(script, input, stdin, files, env, timeout, memory_mb, allow, details)
        attempt = 0
        while True:
            try:
                async with aclosing(self._events(body)) as events:
                    async for event in events:
                        yield event
                return
            except ApiError as error:
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
            except httpx.HTTPError as error:
                raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
            attempt += 1
            await asyncio.sleep(wait)

    async def _events(self, body: bytes) -> AsyncGenerator[Event, None]:
        async with self._http.stream(**self._post(body, stream=True)) as answer:
            if not protocol.is_stream(answer):
                await answer.aread()
                for event in protocol.unstreamed(protocol.read(answer)):
                    yield event
                return
            listener = protocol.Listener(answer)
            async for chunk in answer.aiter_bytes():
                for event in listener.feed(chunk):
                    yield event
                    if isinstance(event, Result):
                        return
        raise ConnectionFailed("the stream ended before the result")

    async def health(self) -> dict[str, Json]:
        """What GET /health says, also where it says that the server is not well."""
        try:
            return protocol.read_health(await self._http.get("/health"))
        except httpx.HTTPError as error:
            raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
