"""Turns what a script did wrong into the fields of an error answer.

Owns the wording and the bounds of failures. It runs after user code, in the
same process, so it uses only what it captured at import: the private copy of
the builtins below, and the descriptors of the base classes instead of
attributes that a class may override. What a hostile class can still do is to
hang or to raise, and only its own run pays for that.
"""

from __future__ import annotations

import builtins
import errno
import io
import json.encoder
import linecache
import os
import sys
from types import CodeType, FrameType, TracebackType
from typing import Any

# Functions take their builtins from here when they are created, so a script
# that sets builtins.len = None breaks its own code and not its report.
globals()["__builtins__"] = dict(vars(builtins))

FILENAME = "script.py"
MODULE = "script"

# The failure types an E frame may carry; docs/architecture.md has the list.
INVALID_REQUEST = "invalid_request"
SYNTAX_ERROR = "syntax_error"
MISSING_MAIN = "missing_main"
MISSING_RETURN = "missing_return"
POLICY_VIOLATION = "policy_violation"
EXCEPTION = "exception"
EXITED = "exited"
INVALID_RESULT = "invalid_result"
MEMORY_LIMIT = "memory_limit"
OUTPUT_LIMIT = "output_limit"
DISK_LIMIT = "disk_limit"

_NAME_CHARS = 100  # of a class name
_CHAIN = 5  # causes shown, the exception itself included
_GROUP = 5  # members of an exception group shown
_SPACES = " \n\t\xa0\u3000\u200d"  # not printable by Python's book, but harmless in a message
_READ_CHARS = 1 << 16  # of one str(); more is never shown

_encode_json = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, None, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False
)

_type_name = type.__dict__["__name__"].__get__
_type_qualname = type.__dict__["__qualname__"].__get__
_type_module = type.__dict__["__module__"].__get__
class_chain = type.__dict__["__mro__"].__get__
_exc_traceback = BaseException.__dict__["__traceback__"].__get__
_exc_cause = BaseException.__dict__["__cause__"].__get__
_exc_context = BaseException.__dict__["__context__"].__get__
_exc_suppress = BaseException.__dict__["__suppress_context__"].__get__
_group_members = BaseExceptionGroup.__dict__["exceptions"].__get__
_errno = OSError.__dict__["errno"].__get__
_name_of_name_error = NameError.__dict__["name"].__get__
_name_of_import_error = ImportError.__dict__["name"].__get__
_exit_code = SystemExit.__dict__["code"].__get__
_tb_next = TracebackType.__dict__["tb_next"].__get__
_tb_frame = TracebackType.__dict__["tb_frame"].__get__
_tb_lineno = TracebackType.__dict__["tb_lineno"].__get__
_frame_code = FrameType.__dict__["f_code"].__get__
_frame_globals = FrameType.__dict__["f_globals"].__get__
_code_filename = CodeType.__dict__["co_filename"].__get__
_code_name = CodeType.__dict__["co_name"].__get__
_str_item = str.__getitem__
_lines_cache: dict[str, Any] = linecache.cache
_stdlib = sys.stdlib_module_names

Failure = dict[str, Any]


class Refused(Exception):
    """Why a run has no result; its fields are those of an E frame."""

    def __init__(self, type_: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.failure: Failure = {"type": type_, "message": message}
        for key, value in fields.items():
            if value is not None and value != "":
                self.failure[key] = value


def clean(text: str, limit: int, *, one_line: bool = True) -> str:
    """Text as valid UTF-8 of at most limit bytes, cut on a character boundary.

    Lone surrogates become escapes. Control characters would let a script draw
    on the terminal of whoever reads the message, so they become escapes too.
    """
    text = _str_item(text, slice(0, limit + 1))  # an exact str, whatever class came in
    if one_line:
        text = text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    if not text.isprintable():
        text = "".join(
            c if c.isprintable() or c in _SPACES else c.encode("unicode_escape").decode("ascii")
            for c in text
        )
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode("utf-8")
    return data[: max(limit - 3, 0)].decode("utf-8", "ignore") + "..."[:limit]


def encode(failure: Failure, limits: dict[str, int] | None = None) -> bytes:
    """The payload of an E frame."""
    limit = (limits or {}).get("message_bytes", 1024)
    failure = dict(failure)
    failure["message"] = clean(failure["message"], limit)
    for key in ("hint", "path", "operation", "exception", "source_line"):
        if key in failure:
            failure[key] = clean(failure[key], limit, one_line=key != "source_line")
    return "".join(_encode_json(failure, 0)).encode("ascii")


def kind_of(cls: type, *bases: type) -> bool:
    """Whether cls is a subclass by its real MRO; isinstance() asks __class__, which can lie."""
    return any(b is c for c in class_chain(cls) for b in bases)


def class_name(cls: type) -> str:
    """The name as a traceback shows it: qualified, but for builtins and the script itself."""
    try:
        name = _type_qualname(cls)
        module = _type_module(cls)
    except BaseException:  # a metaclass or a deleted __module__
        name, module = _type_name(cls), None
    if type(module) is str and module not in ("builtins", "__main__", MODULE):
        name = f"{module}.{name}"
    return clean(name, _NAME_CHARS)


def text_of(exc: BaseException) -> str:
    """str(exc), or a stand-in when the class does not allow it."""
    try:
        text = str(exc)
        text = _str_item(text, slice(0, _READ_CHARS))
        if kind_of(type(exc), ImportError) and text.endswith(")") and " (/" in text:
            text = text[: text.rindex(" (/")]  # "cannot import name ... (/path/of/the/library)"
        return text
    except BaseException:
        return "<unprintable>"


def describe(exc: BaseException) -> str:
    """`ValueError: text`, or only the class where there is no text."""
    text = text_of(exc)
    name = class_name(type(exc))
    return f"{name}: {text}" if text else name


class Frames:
    """The frames of the script in one traceback: count, first and last ones, innermost line."""

    def __init__(self, exc: BaseException, keep: int) -> None:
        self.first: list[tuple[int, str]] = []
        self.last: list[tuple[int, str]] = []
        self.count = 0
        self.line: int | None = None
        self.modules: set[str] = set()  # of the library frames below: tells whose error it is
        head, tail = (keep + 1) // 2, keep // 2
        tb = _exc_traceback(exc)
        while tb is not None:
            frame = _tb_frame(tb)
            code = _frame_code(frame)
            if _code_filename(code) == FILENAME:
                line = _tb_lineno(tb) or 0
                entry = (line, _code_name(code))
                self.line = line
                self.count += 1
                if self.count <= head:
                    self.first.append(entry)
                else:
                    self.last.append(entry)
                    if len(self.last) > max(tail, 1) * 2:
                        del self.last[:-tail or None]
            elif len(self.modules) < 100:
                name = _frame_globals(frame).get("__name__")
                if type(name) is str:
                    self.modules.add(name)
            tb = _tb_next(tb)
        self.last = self.last[-tail:] if tail else []

    def text(self) -> str:
        """The lines of a traceback, the middle elided."""
        out = [_frame_text(line, name) for line, name in self.first]
        left_out = self.count - len(self.first) - len(self.last)
        if left_out:
            out.append(f"  ... {left_out} more frames ...\n")
        out += [_frame_text(line, name) for line, name in self.last]
        return "".join(out)


def source_line(number: int) -> str:
    """That line of the script, bounded, without its indentation."""
    try:
        lines = _lines_cache[FILENAME][2]
        return clean(lines[number - 1][:1000].strip(), 200) if 0 < number <= len(lines) else ""
    except BaseException:  # the cache is the script's to break
        return ""


def _frame_text(line: int, name: str) -> str:
    text = f'  File "{FILENAME}", line {line}, in {clean(name, _NAME_CHARS)}\n'
    source = source_line(line)
    return text + f"    {source}\n" if source else text


def _notes(exc: BaseException) -> str:
    try:
        notes = exc.__notes__
        if type(notes) is list:
            return "".join(f"\n{clean(n, 500, one_line=False)}" for n in notes[:5] if type(n) is str)
    except BaseException:
        pass
    return ""


def _block(exc: BaseException, frames: Frames) -> str:
    text = frames.text()
    head = "Traceback (most recent call last):\n" if text else ""
    body = head + text + clean(describe(exc), 2000, one_line=False) + _notes(exc)
    if kind_of(type(exc), BaseExceptionGroup):
        for member in _group_members(exc)[:_GROUP]:
            line = Frames(member, 1).line
            where = f" (line {line})" if line else ""
            body += f"\n  | {clean(describe(member), 200)}{where}"
        more = len(_group_members(exc)) - _GROUP
        if more > 0:
            body += f"\n  | ... and {more} more"
    return body + "\n"


_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"


def traceback_text(exc: BaseException, frames: Frames, limits: dict[str, int]) -> str:
    """The traceback as Python writes it, of the script's own frames.

    The exception itself comes first in the budget; causes fill what is left.
    """
    limit = limits.get("traceback_bytes", 8192)
    text = clean(_block(exc, frames), limit, one_line=False)
    current, seen = exc, [exc]
    while len(seen) < _CHAIN:
        cause = _exc_cause(current)
        joint = _CAUSED
        if cause is None and not _exc_suppress(current):
            cause, joint = _exc_context(current), _DURING
        if cause is None or any(cause is s for s in seen):
            break
        keep = max(limits.get("traceback_frames", 20) - frames.count, 4)
        longer = _block(cause, Frames(cause, keep)) + joint + text
        if len(longer.encode("utf-8", "backslashreplace")) > limit:
            break
        text = clean(longer, limit, one_line=False)
        seen.append(cause)
        current = cause
    return text


def exception(exc: BaseException, limits: dict[str, int]) -> Failure:
    """The failure for an exception that left the script."""
    cls = type(exc)
    frames = Frames(exc, limits.get("traceback_frames", 20))
    where = f" (line {frames.line})" if frames.line else ""
    limit = limits.get("message_bytes", 1024)
    failure: Failure = {
        "type": EXCEPTION,
        "message": clean(describe(exc), max(limit - len(where), 0)) + where,
        "exception": class_name(cls),
        "line": frames.line,
        "traceback": traceback_text(exc, frames, limits),
        "hint": _guarded_hint(exc, frames),
    }
    if kind_of(cls, MemoryError) or kind_of(cls, OSError) and _errno(exc) == errno.ENOMEM:  # mmap says it so
        failure["type"] = MEMORY_LIMIT
    elif kind_of(cls, OSError) and _errno(exc) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        failure["type"] = DISK_LIMIT
    return {k: v for k, v in failure.items() if v}


def exit_status(exc: BaseException) -> tuple[int, str | None]:
    """The status a SystemExit stands for, and what Python would print for it."""
    code = _exit_code(exc)
    if code is None:
        return 0, None
    if kind_of(type(code), int):
        return int.__and__(code, 0xFF), None
    try:
        return 1, _str_item(str(code), slice(0, _READ_CHARS))
    except BaseException:
        return 1, ""


def exited(exc: BaseException, status: int) -> Failure:
    """The failure for a SystemExit that left the script."""
    line = Frames(exc, 2).line
    where = f" (line {line})" if line else ""
    return {
        "type": EXITED,
        "message": f"The script ended itself with exit status {status} before main returned{where}; "
        "return the result from main instead of exiting.",
        "exit_status": status,
    }


_NO_PROCESSES = "the sandbox does not allow starting processes: do the work in Python, in this one process"
_NO_NETWORK = 'there is no network in the sandbox: send the data with the request, as "input" or "files"'
_PROXY_ONLY = "this run reaches the network by its proxy alone: use HTTP or HTTPS, and a client that reads HTTP_PROXY and HTTPS_PROXY, as requests does"
_network_hint = _NO_NETWORK
_NO_THREADS = "the sandbox limits the number of threads: use a small pool, such as ThreadPoolExecutor(8)"
_PROCESS_MODULES = {"subprocess", "multiprocessing", "pty"}
_NETWORK_MODULES = {"socket", "requests", "urllib3", "http", "urllib", "ssl", "smtplib", "ftplib", "aiohttp", "httpx"}
_PROCESS_WORDS = ("fork", "exec", "spawn", "system(", "popen", "subprocess", "Process", "kill")
_NETWORK_WORDS = ("socket", "connect", "bind(", "listen(", "urlopen", "getaddrinfo")
_PACKAGES = ("numpy", "pandas", "requests") + (("matplotlib",) if os.path.isdir(os.path.join(sys.prefix, "fonts")) else ())
_REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EAGAIN)

_IMPORTS = {
    "np": "import numpy as np", "pd": "import pandas as pd", "numpy": "import numpy", "pandas": "import pandas",
    "requests": "import requests", "plt": "import matplotlib.pyplot as plt", "ET": "import xml.etree.ElementTree as ET",
    "dt": "import datetime as dt", "timedelta": "from datetime import timedelta", "date": "from datetime import date",
    "defaultdict": "from collections import defaultdict", "Counter": "from collections import Counter",
    "deque": "from collections import deque", "namedtuple": "from collections import namedtuple",
    "OrderedDict": "from collections import OrderedDict", "Path": "from pathlib import Path",
    "reduce": "from functools import reduce", "lru_cache": "from functools import lru_cache",
    "partial": "from functools import partial", "wraps": "from functools import wraps",
    "dataclass": "from dataclasses import dataclass", "field": "from dataclasses import field",
    "Decimal": "from decimal import Decimal", "Fraction": "from fractions import Fraction",
    "Enum": "from enum import Enum", "sqrt": "from math import sqrt", "ceil": "from math import ceil",
    "floor": "from math import floor", "pi": "from math import pi", "gcd": "from math import gcd",
    "chain": "from itertools import chain", "product": "from itertools import product",
    "permutations": "from itertools import permutations", "combinations": "from itertools import combinations",
    "sleep": "from time import sleep", "uuid4": "from uuid import uuid4", "deepcopy": "from copy import deepcopy",
    "ThreadPoolExecutor": "from concurrent.futures import ThreadPoolExecutor", "StringIO": "from io import StringIO",
    "ABC": "from abc import ABC", "abstractmethod": "from abc import abstractmethod",
    **{n: f"from typing import {n}" for n in ("Any", "List", "Dict", "Optional", "Tuple", "Set", "Union", "Callable", "Iterable")},
}


def _guarded_hint(exc: BaseException, frames: Frames) -> str:
    try:
        return _hint(exc, frames)
    except BaseException:
        return ""


def _hint(exc: BaseException, frames: Frames) -> str:
    cls = type(exc)
    if kind_of(cls, ModuleNotFoundError):
        name = _name_of_import_error(exc)
        name = clean(name.split(".")[0], _NAME_CHARS) if type(name) is str else "it"
        if name in _stdlib or name in _PACKAGES:
            return ""
        return f"{name} is not installed here; available are the standard library, {', '.join(_PACKAGES[:-1])} and {_PACKAGES[-1]}"
    if kind_of(cls, NameError) and not kind_of(cls, UnboundLocalError):
        name = _name_of_name_error(exc)
        if type(name) is not str:
            return ""
        if name in ("exit", "quit"):
            return "return the result from main instead of exiting"
        line = _IMPORTS.get(name) or (f"import {name}" if name in _stdlib else "")
        return f"did you forget `{line}`?" if line else ""
    if kind_of(cls, RuntimeError) and "start new thread" in text_of(exc):
        return _NO_THREADS
    if kind_of(cls, EOFError):
        return 'stdin is empty: send what the script reads as "stdin" with the request'
    if not kind_of(cls, OSError):
        return ""
    roots = {m.split(".")[0] for m in frames.modules}
    own = _type_module(cls)
    own = own.split(".")[0] if type(own) is str else ""
    if own in _NETWORK_MODULES or kind_of(cls, ConnectionError):
        return "" if _network_hint is _PROXY_ONLY else _NO_NETWORK
    if _errno(exc) not in _REFUSALS:
        return ""
    line = source_line(frames.line or 0)
    if roots & _PROCESS_MODULES:
        return _NO_PROCESSES
    if roots & _NETWORK_MODULES or any(w in line for w in _NETWORK_WORDS):
        return _network_hint
    if any(w in line for w in _PROCESS_WORDS):
        return _NO_PROCESSES
    return ""


def hint_at_proxy() -> None:
    global _network_hint
    _network_hint = _PROXY_ONLY


def register_source(text: str) -> None:
    """Lets tracebacks inside the script show its lines, by Python's own idea of a line."""
    lines = io.StringIO(text, newline=None).readlines()
    _lines_cache[FILENAME] = (len(text), None, lines, FILENAME)
