"""Runs one script in a process that is confined already and dies afterwards.

Everything below `_finish` runs after user code in the same interpreter. It
uses only what was captured at import, so a script that patches json, os or
builtins spoils nothing by accident. One that sets out to forge its own result
can: the server trusts no byte of this process for anything else.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal wraps it in code that can be patched
import builtins
import functools
import gc
import io
import json
import mmap
import os
import resource
import select
import sys
import time
from collections.abc import Callable
from types import CoroutineType, FunctionType, MethodType, ModuleType
from typing import Any

from . import collect, plots, report, script, serialise, wire

globals()["__builtins__"] = dict(vars(builtins))  # see report.py

_CO_VARARGS, _CO_COROUTINE = 0x04, 0x80
_UNWRAP_STEPS = 20
_RESERVE = 1 << 20  # bytes, given back when memory has run out, so that it can be reported
_MIB, _ADDRESSES = 1 << 20, 1 << 47  # of which a process has no more

_os_write, _os_close, _chdir = os.write, os.close, os.chdir
_poll = select.select
_raw_write = io.FileIO.write
_settrace, _setprofile = sys.settrace, sys.setprofile
_set_recursion_limit = sys.setrecursionlimit
_monitoring = getattr(sys, "monitoring", None)
_gc_disable = gc.disable
_getsignal, _setsignal, _SIG_IGN = _signal.getsignal, _signal.signal, _signal.SIG_IGN
_sys_namespace = sys.__dict__
_partial_func = functools.partial.__dict__["func"].__get__
_function_code = FunctionType.__dict__["__code__"].__get__
_home = "."  # the working directory of a run
_keep: list[Any] = []  # nothing of a run is freed before the process dies: no finaliser runs

Options = dict[str, Any]
Frame = tuple[bytes, bytes]


def reseed() -> None:
    """Makes a fork random again: it inherited the zygote's generators and name sequences.

    uuid4, secrets and SystemRandom read the kernel each time; OpenSSL reseeds by itself.
    """
    modules = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None  # type: ignore[attr-defined]
    if "uuid" in modules:
        modules["uuid"]._last_timestamp = None  # type: ignore[attr-defined]


def get_ready() -> None:
    """What a run needs that no request decides; done before there is one."""
    global _home
    _home = os.getcwd()
    _open_streams()
    _hide_runner()
    sys.argv[:] = [report.FILENAME]
    sys.path.insert(0, "")  # the working directory: modules among the request's files


def run(request: bytes, result_fd: int, flush: Callable[[], None] | None = None) -> None:
    """Serves one request and writes its frames to result_fd. Never raises."""
    try:
        frames = _outcome(request)
    except BaseException as exc:
        frames = [_last_resort(exc)]
    try:
        _finish(frames, result_fd, flush)
    except BaseException:
        pass


# --- before the script ------------------------------------------------------


def _outcome(request: bytes) -> list[Frame]:
    limits: dict[str, int] = {}
    try:
        options = _parse(request)
        limits = options.get("limits", {})
        _prepare(options)
        gc_was_on = gc.isenabled()
        gc.disable()  # a tree has no garbage, and looking for some doubles the time
        parsed = script.read(options["script"], options.get("policy", "standard"))
        if gc_was_on:
            gc.enable()
    except report.Refused as refused:
        return [(wire.ERROR, report.encode(refused.failure, limits))]
    return _run_script(parsed, options, limits)


def _parse(request: bytes) -> Options:
    sys.set_int_max_str_digits(0)  # input is lossless too
    try:
        return json.loads(request)  # type: ignore[no-any-return]
    except RecursionError:
        raise report.Refused(report.INVALID_REQUEST, "The input is too deeply nested.", field="input") from None
    finally:
        sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)


def _prepare(options: Options) -> None:
    for name, value in options.get("env", {}).items():
        try:
            os.environ[name] = value
        except (ValueError, OSError):
            raise report.Refused(
                report.INVALID_REQUEST, f"{name!r} cannot be an environment variable.", field="env"
            ) from None
    if "TZ" in options.get("env", {}):
        time.tzset()
    for file in options.get("files", ()):
        _write_file(file["path"], collect.decode(file["content_base64"]))
    if options.get("address_space") and options.get("memory_bytes"):
        limit, most = address_space() + options["memory_bytes"], resource.getrlimit(resource.RLIMIT_AS)[1]
        if most != resource.RLIM_INFINITY:
            limit = min(limit, most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class _Output(io.FileIO):
    """Writes all it is given at once: what was printed before a SIGKILL is not lost."""

    @property
    def raw(self) -> _Output:
        return self

    def write(self, data: Any) -> int:
        written = _raw_write(self, data)
        if written == len(data):
            return written
        view = memoryview(data).cast("B")
        done = written or 0
        while done < len(view):
            if written is None:  # the script made the pipe non-blocking
                _poll((), (self.fileno(),), ())
            written = _raw_write(self, view[done:])
            done += written or 0
        return done


def _open_streams() -> None:
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(  # type: ignore[misc]
        io.BufferedReader(_named(io.FileIO(0, "r", closefd=False), "<stdin>")), encoding="utf-8", newline="\n"
    )
    for fd, name in ((1, "stdout"), (2, "stderr")):
        stream = io.TextIOWrapper(
            _named(_Output(fd, "w", closefd=False), f"<{name}>"),
            encoding="utf-8",
            errors="backslashreplace",  # a lone surrogate is shown, and fails no run
            newline="\n",
            write_through=True,
        )
        stream.mode = "w"  # type: ignore[misc]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _hide_runner() -> None:
    """The runner is not in sight by name. Looking at each of a thousand names takes 0.3 ms."""
    package = __name__.rpartition(".")[0]
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        _keep.append(sys.modules.pop(name))
    _keep.append(sys.modules.get("__main__"))  # until the script takes its place


def _named(raw: Any, name: str) -> Any:
    raw.name = name
    return raw


def _write_file(path: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        if os.path.isabs(path) or ".." in path.split("/"):
            raise ValueError("not below the working directory")
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, flags, 0o666), "wb") as f:
            f.write(content)
    except (OSError, ValueError) as err:
        if isinstance(err, OSError):
            failure = report.exception(err, {})
            if failure["type"] == report.DISK_LIMIT:
                raise report.Refused(report.DISK_LIMIT, "The files do not fit into the sandbox's disk limit.") from None
        why = err.strerror if isinstance(err, OSError) else str(err)
        raise report.Refused(
            report.INVALID_REQUEST, f"The file {path!r} cannot be written: {why}.", field="files"
        ) from None


def address_space() -> int:
    """How much is in use, to a MiB: the least limit that leaves room for a page more.

    The kernel tells it in /proc alone, which may be masked, or closed by Landlock.
    """
    low, high = 0, 16 * _MIB
    while high < _ADDRESSES and not _has_room(high):
        low, high = high, high * 2
    while high - low > _MIB:
        middle = (low + high) // 2
        if _has_room(middle):
            high = middle
        else:
            low = middle
    return high


def _has_room(limit: int) -> bool:
    """Leaves the limit as it was."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
        mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        return False
    except ValueError:  # more than the hard limit, which there was before
        return True
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    return True


# --- the script -------------------------------------------------------------


def _run_script(parsed: script.Script, options: Options, limits: dict[str, int]) -> list[Frame]:
    module = ModuleType(report.MODULE)
    namespace = module.__dict__
    namespace.update(__file__=report.FILENAME, __builtins__=builtins)
    report.register_source(options["script"].removeprefix("\ufeff"))
    sys.modules["__main__"] = sys.modules[report.MODULE] = module
    # Only a limit on address space raises MemoryError; a cgroup kills, and would count the reserve.
    reserve = bytearray(_RESERVE if options.get("address_space") else 0)
    _keep.extend((module, namespace, parsed, options))
    frames: list[Frame] = []
    try:
        value = _run_main(parsed, namespace, options)
        if options.get("details"):
            _go_home()
            plots.save_open()
        _quieten()
        _keep.append(value)
        frames.append((wire.RESULT, _encode(value, limits)))
    except BaseException as exc:
        reserve.clear()
        _quieten()
        _keep.append(exc)
        failure = _failure(exc, limits)
        frames.append((wire.ERROR, report.encode(failure, limits)))
        if failure["type"] == report.EXITED:
            return frames
    if options.get("details"):
        try:
            _go_home()
            frames.insert(0, (wire.FILES, collect.output(limits)))
        except BaseException:
            pass
    return frames


def _go_home() -> None:
    """output/ is that of the directory in which the script began."""
    try:
        _chdir(_home)
    except OSError:
        pass  # it has taken its own rights to it away


def _run_main(parsed: script.Script, namespace: dict[str, Any], options: Options) -> Any:
    exec(parsed.code, namespace)
    if "main" not in namespace:
        raise script.no_main()
    main = namespace["main"]  # taken once: rebinding it later changes nothing
    if not callable(main):
        kind = report.class_name(type(main))
        hint = "define it as a function: def main(): return {...}"
        raise report.Refused(
            report.MISSING_MAIN, f"main is {kind}, which cannot be called; {hint}.", line=parsed.main_line, hint=hint
        )
    arguments = script.arguments(_parameters(main), options)
    awaited = _is_async(main)
    value = main(*arguments)
    if awaited and type(value) is CoroutineType:
        import asyncio

        value = asyncio.run(value)
    return value


def _parameters(main: Any) -> script.Parameters | None:
    """What a call of main takes; None where it cannot be told."""
    try:
        if type(main) is FunctionType and "__wrapped__" not in main.__dict__:
            code = main.__code__
            names, count, only = code.co_varnames, code.co_argcount, code.co_kwonlyargcount
            optional = len(main.__defaults__ or ())
            with_default = main.__kwdefaults__ or {}
            return script.Parameters(
                required=list(names[: count - optional]),
                optional=optional,
                variadic=bool(code.co_flags & _CO_VARARGS),
                keyword_only=[n for n in names[count : count + only] if n not in with_default],
            )
        import inspect

        required: list[str] = []
        keyword_only: list[str] = []
        optional, variadic = 0, False
        for p in inspect.signature(main).parameters.values():
            if p.kind is p.VAR_POSITIONAL:
                variadic = True
            elif p.kind is p.KEYWORD_ONLY and p.default is p.empty:
                keyword_only.append(p.name)
            elif p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                if p.default is p.empty:
                    required.append(p.name)
                else:
                    optional += 1
        return script.Parameters(required, optional, variadic, keyword_only)
    except Exception:
        return None


def _is_async(main: Any) -> bool:
    """Whether calling main makes a coroutine that is main's own, and so is awaited.

    A coroutine that a plain main returns was forgotten to be awaited: it is refused as a result.
    """
    for _ in range(_UNWRAP_STEPS):
        cls = type(main)
        if cls is FunctionType:
            if _function_code(main).co_flags & _CO_COROUTINE:
                return True
            main = main.__dict__.get("__wrapped__")
        elif cls is MethodType:
            main = main.__func__
        elif report.kind_of(cls, functools.partial):
            main = _partial_func(main)
        elif cls is not type and type(cls) is type:
            main = next((vars(c)["__call__"] for c in cls.__mro__ if "__call__" in vars(c)), None)
        else:
            return False
    return False


# --- after the script -------------------------------------------------------


def _quieten() -> None:
    """Nothing of the script runs by itself from here on: traces, signals, collection.

    A trace function may raise once each in here before it is gone, hence the loop.
    """
    for _ in range(8):
        try:
            _settrace(None)
            _setprofile(None)
            _gc_disable()
            _set_recursion_limit(2000)  # what the script set may be too low to report with
            if _monitoring is not None:
                for tool in range(6):
                    if _monitoring.get_tool(tool) is not None:
                        _monitoring.set_events(tool, 0)
            for number in range(1, 65):
                try:
                    handler = _getsignal(number)
                except ValueError:
                    continue
                if handler is not None and type(handler) is not int and callable(handler):
                    _setsignal(number, _SIG_IGN)
            return
        except BaseException:
            continue


def _encode(value: Any, limits: dict[str, int]) -> bytes:
    try:
        return serialise.encode(value, limits)
    except (report.Refused, MemoryError):
        raise
    except BaseException:  # a class of the script, or a thread that changes what is read
        raise report.Refused(
            report.INVALID_RESULT,
            "The result is not JSON serializable: it changed, or raised an exception, while it was read.",
            path="$",
            hint="wait for your threads, and return plain dicts and lists",
        ) from None


def _failure(exc: BaseException, limits: dict[str, int]) -> report.Failure:
    if type(exc) is report.Refused:
        return exc.failure
    if report.kind_of(type(exc), SystemExit):
        status, text = report.exit_status(exc)
        if text is not None:
            _print_error(text)
        return report.exited(exc, status)
    return report.exception(exc, limits)


def _print_error(text: str) -> None:
    try:
        _sys_namespace["stderr"].write(text + "\n")
    except BaseException:
        pass


def _last_resort(exc: BaseException) -> Frame:
    _quieten()
    try:
        failure = _failure(exc, {})
    except BaseException:
        failure = {"type": report.EXCEPTION, "message": "The script failed in a way that cannot be described."}
    return wire.ERROR, report.encode(failure)


def _finish(frames: list[Frame], result_fd: int, flush: Callable[[], None] | None) -> None:
    for name in ("stdout", "stderr"):
        try:
            stream = _sys_namespace.get(name)
            if stream is not None:
                stream.flush()
        except BaseException:
            pass
    try:
        if flush is not None:
            flush()
    except BaseException:
        pass
    # Closed before the last frame, so that a reader sees their end no later than the frame.
    for fd in (1, 2):
        try:
            _os_close(fd)
        except OSError:
            pass
    for kind, payload in frames:
        data = memoryview(kind + len(payload).to_bytes(4, "big") + payload)
        while data:
            data = data[_os_write(result_fd, data) :]
    _os_close(result_fd)
