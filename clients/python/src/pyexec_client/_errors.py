from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._types import Details, Json, details_of


class PyexecError(Exception):
    """Any error of this package."""


class ConnectionFailed(PyexecError):
    """The server could not be reached, or its answer did not arrive.

    Whether the script ran is not known, so nothing is sent again by itself.
    """


class ApiError(PyexecError):
    """An answer of the server other than a result."""

    # Those that error.type has; the others are None.
    field: str | None
    line: int | None
    column: int | None
    source_line: str | None
    operation: str | None
    hint: str | None
    exception: str | None
    traceback: str | None
    path: str | None
    signal: str | None
    exit_status: int | None
    limit_ms: int | None
    limit_mb: int | None
    limit_bytes: int | None
    started: bool | None

    def __init__(self, type: str, message: str, status: int, fields: Mapping[str, Json], body: Mapping[str, Json]) -> None:
        super().__init__(f"{type}: {message}")
        self.type = type
        self.message = message
        self.status = status
        self.fields = dict(fields)
        """All that the error has, by its names in the HTTP contract."""
        self.stdout: str = body.get("stdout", "")
        self.details: Details | None = details_of(body)
        self.request_id: str | None = None
        self.retry_after: float | None = None
        """Seconds; None where the server does not say."""
        for name in ApiError.__annotations__:
            setattr(self, name, fields.get(name))

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own would call the class with the message alone.
        return _again, (type(self), self.args), self.__dict__

    @property
    def retryable(self) -> bool:
        """Whether the server has said that nothing was run and when to come back."""
        ours = self.type in ("rate_limited", "overloaded", "draining", "unavailable")  # a proxy's 503 says nothing of a run
        return ours and self.retry_after is not None and not self.fields.get("started")


def _again(cls: type[ApiError], args: tuple[Any, ...]) -> ApiError:
    return cls.__new__(cls, *args)


class ScriptError(ApiError):
    """The script or the request was the cause: it fails again, however often it is sent."""


class ServiceError(ApiError):
    """The service did not run the script, or lost it."""


class InvalidRequest(ScriptError): ...


class ScriptSyntaxError(ScriptError): ...


class MissingMain(ScriptError): ...


class MissingReturn(ScriptError): ...


class PolicyViolation(ScriptError): ...


class ScriptException(ScriptError):
    """The script raised: see `exception`, `line` and `traceback`."""


class Exited(ScriptError): ...


class InvalidResult(ScriptError): ...


class RunTimeout(ScriptError):
    """The run went over its wall-clock limit."""


class MemoryLimit(ScriptError): ...


class OutputLimit(ScriptError): ...


class DiskLimit(ScriptError): ...


class Killed(ScriptError): ...


class Unauthenticated(ServiceError): ...


class Forbidden(ServiceError): ...


class NotFound(ServiceError): ...


class MethodNotAllowed(ServiceError): ...


class TooLarge(ServiceError): ...


class UnsupportedMediaType(ServiceError): ...


class RateLimited(ServiceError): ...


class Overloaded(ServiceError): ...


class Draining(ServiceError): ...


class Unavailable(ServiceError): ...


class InternalError(ServiceError): ...


TYPES: dict[str, type[ApiError]] = {
    "invalid_request": InvalidRequest,
    "syntax_error": ScriptSyntaxError,
    "missing_main": MissingMain,
    "missing_return": MissingReturn,
    "policy_violation": PolicyViolation,
    "exception": ScriptException,
    "exited": Exited,
    "invalid_result": InvalidResult,
    "timeout": RunTimeout,
    "memory_limit": MemoryLimit,
    "output_limit": OutputLimit,
    "disk_limit": DiskLimit,
    "killed": Killed,
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "not_found": NotFound,
    "method_not_allowed": MethodNotAllowed,
    "too_large": TooLarge,
    "unsupported_media_type": UnsupportedMediaType,
    "rate_limited": RateLimited,
    "overloaded": Overloaded,
    "draining": Draining,
    "unavailable": Unavailable,
    "internal": InternalError,
}


def error_of(status: int, body: Json) -> ApiError:
    """The error for an answer, which may be of something else than our server."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("type"), str):
        return InternalError("internal", f"the answer is not one of python-code-executor (HTTP {status})", status, {}, {})
    cls = TYPES.get(error["type"], ScriptError if status == 400 else ServiceError)
    return cls(error["type"], str(error.get("message", "")), status, error, body)
