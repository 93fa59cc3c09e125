"""Writes what main returned as JSON, lossless or not at all.

The value is the script's, and so may be every class in it: types are told by
the real type and its MRO (isinstance() believes __class__), and contents are
read with the methods of the base classes, so that no override decides what is
reported. Plain parts go through the C encoder in snapshots that nothing else
refers to; when one of them fails, everything is written again item by item,
only to learn the path of the culprit.
"""

from __future__ import annotations

import _thread
import builtins
import collections
import json.encoder
import re
import sys
from itertools import islice
from typing import Any

from .hints import explain
from .report import INVALID_RESULT, OUTPUT_LIMIT, Refused, class_chain, class_name, clean

globals()["__builtins__"] = dict(vars(builtins))  # see report.py

_PATH_CHARS = 200
_KEY_CHARS = 60
_SLICE = 4096  # items handed to the C encoder at once: bounds what is built past the limit
_PIECE = 1 << 16  # characters of a long string encoded at once
_DIGITS_PER_BIT = 0.30103

_quote = json.encoder.encode_basestring
_encode_plain = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, None, _quote, None, ":", ",", False, False, False
)
_int_text = int.__repr__
_int_bits = int.bit_length
_float_text = float.__repr__
_str_item = str.__getitem__
_str_len = str.__len__
_list_item = list.__getitem__
_list_len = list.__len__
_tuple_item = tuple.__getitem__
_tuple_len = tuple.__len__
_dict_items = dict.items
_dict_len = dict.__len__
_dict_get = dict.__getitem__
_ordered_keys = collections.OrderedDict.__iter__
_OrderedDict = collections.OrderedDict
_type_name = type.__dict__["__name__"].__get__
_type_module = type.__dict__["__module__"].__get__
_type_flags = type.__dict__["__flags__"].__get__
_thread_count = _thread._count
_lift_digits = getattr(sys, "set_int_max_str_digits", lambda n: None)
_identifier = re.compile(r"[^\W\d]\w*").fullmatch

# Kinds are looked up by id(type): hashing a class would run its metaclass.
_STR, _INT, _FLOAT, _CONST, _LIST, _TUPLE, _DICT, _ORDERED, _NP_INT, _NP_FLOAT, _NP_BOOL = range(11)
_CONSTANTS = {id(None): "null", id(True): "true", id(False): "false"}
_EXACT = {
    id(str): _STR, id(int): _INT, id(float): _FLOAT, id(bool): _CONST, id(type(None)): _CONST,
    id(list): _LIST, id(tuple): _TUPLE, id(dict): _DICT, id(_OrderedDict): _ORDERED,
}  # fmt: skip
_BASES = [
    (_OrderedDict, _ORDERED), (dict, _DICT), (list, _LIST), (tuple, _TUPLE),
    (str, _STR), (int, _INT), (float, _FLOAT),
]  # fmt: skip
_PLAIN = frozenset(id(t) for t in (str, int, float, bool, type(None)))
_NESTED = _PLAIN | {id(dict), id(list), id(tuple)}
_SIZED = (dict, list, tuple)
_ONLY_STR = frozenset((id(str),))
_BIG = 1 << 4096  # integers beyond it are written one at a time, under the limit's eye
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: set on every class that Python code made


class _Bad(Exception):
    """Something JSON cannot say. Its path is collected on the way out, innermost first."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what, self.hint = what, hint
        self.parts: list[str] = []
        self.levels: int | None = None  # how many steps of the path say it all


class _TooLarge(Exception):
    """The text has grown over the limit."""


class _TryItemwise(Exception):
    """The fast way failed: the item by item way will say where."""


def encode(value: Any, limits: dict[str, int]) -> bytes:
    """The value's JSON, as UTF-8. Raises Refused where there is none."""
    limit = limits.get("result_bytes", 8 << 20)
    depth = limits.get("depth", 200)
    _lift_digits(0)
    try:
        try:
            if _thread_count() == 0 and _all_plain(value, limit, depth):
                data = "".join(_encode_plain(value, 0)).encode("utf-8")
                if len(data) > limit:
                    raise _TooLarge
                return data
            return _Writer(limit, depth, fast=True).run(value)
        except (_TryItemwise, ValueError, TypeError):
            return _Writer(limit, depth, fast=False).run(value)
    except _Bad as bad:
        where = _path(bad.parts[::-1][: bad.levels])
        message = f"The result is not JSON serializable: {where} {bad.what}"
        message += f": {bad.hint}." if bad.hint else "."
        raise Refused(INVALID_RESULT, message, path=where, hint=bad.hint) from None
    except _TooLarge:
        message = f"The result is larger than {limit} bytes as JSON; return less, or a summary."
        raise Refused(OUTPUT_LIMIT, message, limit_bytes=limit) from None


def _all_plain(value: Any, limit: int, depth: int) -> bool:
    """Whether the C encoder can take the value whole: exact types, nothing large, not too deep.

    Only sound while no other thread can change the value between this look and
    the encoding: the caller sees to that, and collection is off by then.
    """
    level, total, chars = [value], 0, 0
    for _ in range(depth + 1):
        total += len(level)
        kinds = set(map(id, map(type, level)))
        if total * 8 > limit or not _NESTED.issuperset(kinds):
            return False
        if id(str) in kinds:
            chars += sum([len(x) for x in level if type(x) is str])
        if id(int) in kinds:
            ints = [x for x in level if type(x) is int]
            if max(ints) > _BIG or min(ints) < -_BIG:
                return False
        inner: list[Any] = []
        keys: list[Any] = []
        if not _PLAIN.issuperset(kinds):
            for x in level:
                cls = type(x)
                if cls not in _SIZED:
                    continue
                if (len(inner) + len(x)) * 8 > limit:  # before a big or shared part is copied
                    return False
                if cls is dict:
                    keys += x
                    inner += x.values()
                else:
                    inner += x
            if not _ONLY_STR.issuperset(map(id, map(type, keys))):
                return False
            chars += sum(map(len, keys))
        if chars * 4 > limit:  # a control character is written as six
            return False
        if _PLAIN.issuperset(kinds):
            return True
        level = inner
    return False


class _Writer:
    def __init__(self, limit: int, depth: int, fast: bool) -> None:
        self.limit, self.depth, self.fast = limit, depth, fast
        self.parts: list[str] = []
        self.pending = 0  # characters in parts
        self.done: list[bytes] = []
        self.size = 0  # bytes in done
        self.open: list[Any] = []  # the containers around the current value
        self.kinds: dict[int, int] = dict(_EXACT)
        self.alive: list[type] = []  # keeps ids in kinds from being reused

    def run(self, value: Any) -> bytes:
        self.value(value)
        self.flush()
        return b"".join(self.done)

    def put(self, text: str) -> None:
        self.parts.append(text)
        self.pending += len(text)
        if self.pending > _PIECE:
            self.flush()

    def flush(self) -> None:
        data = "".join(self.parts).encode("utf-8")  # UnicodeEncodeError is a ValueError: itemwise next
        self.parts.clear()
        self.pending = 0
        self.size += len(data)
        if self.size > self.limit:
            raise _TooLarge
        self.done.append(data)

    def room(self, at_least: int) -> None:
        """Stops before work whose text cannot fit."""
        if self.size + self.pending + at_least > self.limit:
            raise _TooLarge

    def kind(self, value: Any) -> int:
        cls = type(value)
        kind = self.kinds.get(id(cls))
        if kind is None:
            kind = _kind_of(cls)
            if kind is None:
                what, hint = explain(value)
                raise _Bad(what, hint)
            self.kinds[id(cls)] = kind
            self.alive.append(cls)
        return kind

    def value(self, value: Any) -> None:
        kind = self.kind(value)
        if kind == _LIST or kind == _TUPLE:
            self.sequence(value, kind)
        elif kind == _DICT or kind == _ORDERED:
            self.mapping(value, kind)
        elif kind == _STR:
            self.string(value)
        else:
            self.put(self.scalar(value, kind))

    def scalar(self, value: Any, kind: int) -> str:
        if kind == _CONST:
            return _CONSTANTS[id(value)]
        if kind == _NP_BOOL:
            return "true" if value else "false"
        if kind == _NP_INT:
            value, kind = int(value), _INT
        if kind == _INT:
            self.room(int(_int_bits(value) * _DIGITS_PER_BIT))
            return _int_text(value)
        if kind == _NP_FLOAT:
            exact = float(value)
            if exact == exact and exact != value:
                raise _Bad(f"is {class_name(type(value))}, wider than a JSON number holds", "return float(value)")
            value = exact
        text = _float_text(value)
        if text in ("nan", "inf", "-inf"):
            name = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[text]
            raise _Bad(f"is {name}, which JSON cannot say", "return None or a string instead")
        return text

    def string(self, value: str) -> None:
        length = _str_len(value)
        self.room(length)
        if length <= _PIECE:
            if not self.fast:
                _check_text(value)
            self.put(_quote(value))
            return
        self.put('"')
        for start in range(0, length, _PIECE):
            piece = _str_item(value, slice(start, start + _PIECE))
            if not self.fast:
                _check_text(piece)
            self.put(_quote(piece)[1:-1])
        self.put('"')

    def enter(self, value: Any) -> None:
        self.open.append(value)
        if len(self.open) > self.depth:
            for i, outer in enumerate(self.open):
                if any(outer is inner for inner in islice(self.open, i)):
                    bad = _Bad("is part of itself (a cycle)", "return data without cycles")
                    bad.levels = i
                    raise bad
            raise _Bad(f"is nested more than {self.depth} levels deep", "return a flatter structure")

    def sequence(self, value: Any, kind: int) -> None:
        length = (_list_len if kind == _LIST else _tuple_len)(value)
        self.room(2 * length)
        self.enter(value)
        item = _list_item if kind == _LIST else _tuple_item
        self.put("[")
        for start in range(0, length, _SLICE):
            chunk = item(value, slice(start, start + _SLICE))  # a snapshot: no thread can change it
            if start and chunk:
                self.put(",")
            if self.fast and _PLAIN.issuperset(map(id, map(type, chunk))):
                self.plain(chunk)
                continue
            i = start
            try:
                for i, one in enumerate(chunk, start):
                    if i > start:
                        self.put(",")
                    self.value(one)
            except _Bad as bad:
                bad.parts.append(f"[{i}]")
                raise
        self.put("]")
        self.open.pop()

    def plain(self, chunk: Any) -> None:
        """A snapshot of exact scalars, by the C encoder."""
        biggest = max([len(x) for x in chunk if type(x) is str], default=0)
        if biggest > _PIECE or any(type(x) is int and x.bit_length() > _PIECE for x in chunk):
            for i, one in enumerate(chunk):
                if i:
                    self.put(",")
                self.value(one)
            return
        self.put("".join(_encode_plain(chunk, 0))[1:-1])

    def mapping(self, value: Any, kind: int) -> None:
        self.room(4 * _dict_len(value))
        self.enter(value)
        if kind == _ORDERED:
            items = [(k, _dict_get(value, k)) for k in _ordered_keys(value)]
        else:
            items = list(_dict_items(value))
        keys = [k for k, _ in items]
        texts: set[str] | None = None if _ONLY_STR.issuperset(map(id, map(type, keys))) else set()
        if self.fast and texts is None and len(items) <= 64 and self.small(items):
            self.put("".join(_encode_plain(dict(items), 0)))
            self.open.pop()
            return
        self.put("{")
        first = True
        for key, one in items:
            text = self.key(key)
            if texts is not None:
                if text in texts:
                    bad = _Bad(f"has two keys that both become {text} in JSON", "make the keys distinct as text")
                    raise bad
                texts.add(text)
            self.put(text + ":" if first else "," + text + ":")
            first = False
            try:
                self.value(one)
            except _Bad as bad:
                bad.parts.append(_step(key))
                raise
        self.put("}")
        self.open.pop()

    def small(self, items: list[tuple[Any, Any]]) -> bool:
        """Whether the C encoder can take the items at once, without a long text among them."""
        for key, one in items:
            if id(type(one)) not in _PLAIN or len(key) > 1024:
                return False
            if type(one) is str:
                if len(one) > 1024:
                    return False
            elif type(one) is int and one.bit_length() > 4096:
                return False
        return True

    def key(self, key: Any) -> str:
        kind = self.kinds.get(id(type(key)))
        if kind is None:
            kind = _kind_of(type(key))
        if kind == _STR:
            if not self.fast:
                try:
                    _check_text(key)
                except _Bad as bad:
                    raise _Bad("has a key with a lone surrogate, which UTF-8 cannot say", bad.hint) from None
            self.room(_str_len(key))
            return _quote(key)
        if kind in (_LIST, _TUPLE, _DICT, _ORDERED, None):
            name = class_name(type(key))
            hint = "use text, such as \",\".join(map(str, key)), or return a list of pairs"
            raise _Bad(f"has a key of type {name}, and keys are text in JSON", hint if kind == _TUPLE else "use str(key)")
        try:
            return '"' + self.scalar(key, kind) + '"'
        except _Bad as bad:
            raise _Bad("has a key that " + bad.what, "use str(key)") from None


def _kind_of(cls: type) -> int | None:
    mro = class_chain(cls)
    for base, kind in _BASES:
        for c in mro:
            if c is base:
                return kind
    # numpy's scalar classes are static, which no class made by a script can be:
    # neither the name nor sys.modules["numpy"] would be proof of anything.
    if not _type_flags(cls) & _HEAP_TYPE and _type_module(cls) == "numpy":
        names = [_type_name(c) for c in mro]
        if names[0] in ("bool", "bool_"):
            return _NP_BOOL
        if "integer" in names and "timedelta64" not in names:
            return _NP_INT
        if "floating" in names:
            return _NP_FLOAT
    return None


def _check_text(text: str) -> None:
    try:
        str.encode(text, "utf-8")
    except UnicodeEncodeError:
        raise _Bad(
            "is text with a lone surrogate, which UTF-8 cannot say",
            'return value.encode("utf-8", "replace").decode()',
        ) from None


def _step(key: Any) -> str:
    """One step of a JSONPath."""
    if type(key) is not str:
        try:
            text = _quote(key) if _kind_of(type(key)) == _STR else f'"{clean(repr(key), _KEY_CHARS)}"'
        except BaseException:
            text = '"?"'
        return f"[{text[:_KEY_CHARS + 2]}]"
    if len(key) <= _KEY_CHARS and key.isascii() and _identifier(key):
        return "." + key
    return "[" + _quote(clean(key, _KEY_CHARS)) + "]"


def _path(parts: list[str]) -> str:
    path = "$" + "".join(parts)
    if len(path) <= _PATH_CHARS:
        return path
    half = (_PATH_CHARS - 3) // 2
    return path[:half] + "..." + path[-half:]
