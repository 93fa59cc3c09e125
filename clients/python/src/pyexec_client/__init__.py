"""Client of python-code-executor: run Python in a sandbox over HTTP.

    from pyexec_client import Client

    with Client("http://localhost:8080") as client:
        print(client.execute("def main(n):\\n    return n * 2", input=21).result)

`AsyncClient` has the same methods with `await`. What a script did wrong is a
`ScriptError`, what the service could not do is a `ServiceError`; each type of
the HTTP contract is a class of its own.
"""

from ._client import AsyncClient, Client
from ._errors import (
    ApiError,
    ConnectionFailed,
    DiskLimit,
    Draining,
    Exited,
    Forbidden,
    InternalError,
    InvalidRequest,
    InvalidResult,
    Killed,
    MemoryLimit,
    MethodNotAllowed,
    MissingMain,
    MissingReturn,
    NotFound,
    OutputLimit,
    Overloaded,
    PolicyViolation,
    PyexecError,
    RateLimited,
    RunTimeout,
    ScriptError,
    ScriptException,
    ScriptSyntaxError,
    ServiceError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from ._types import Details, Event, Output, OutputFile, Result, Started, Usage

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ConnectionFailed",
    "Details",
    "DiskLimit",
    "Draining",
    "Event",
    "Exited",
    "Forbidden",
    "InternalError",
    "InvalidRequest",
    "InvalidResult",
    "Killed",
    "MemoryLimit",
    "MethodNotAllowed",
    "MissingMain",
    "MissingReturn",
    "NotFound",
    "Output",
    "OutputFile",
    "OutputLimit",
    "Overloaded",
    "PolicyViolation",
    "PyexecError",
    "RateLimited",
    "Result",
    "RunTimeout",
    "ScriptError",
    "ScriptException",
    "ScriptSyntaxError",
    "ServiceError",
    "Started",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedMediaType",
    "Usage",
]
