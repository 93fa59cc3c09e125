"""What to write instead of a value that JSON cannot say."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

from .report import class_chain, clean

globals()["__builtins__"] = dict(vars(builtins))  # see report.py

_NAME_CHARS = 60
_type_name = type.__dict__["__name__"].__get__
_type_module = type.__dict__["__module__"].__get__
_type_dict = type.__dict__["__dict__"].__get__

# What to write instead, by the root module and name of any class of the MRO.
_HINTS = {
    "datetime.datetime": "return value.isoformat()", "datetime.date": "return value.isoformat()",
    "datetime.time": "return value.isoformat()", "datetime.timedelta": "return value.total_seconds()",
    "pandas.Timestamp": "return value.isoformat()", "pandas.Timedelta": "return value.total_seconds()",
    "pandas.NaTType": "return None instead", "pandas.NAType": "return None instead",
    "pandas.Period": "return str(value)", "pandas.Interval": "return str(value)",
    "pandas.DataFrame": 'return df.to_dict(orient="records")', "pandas.Series": "return series.to_list() or series.to_dict()",
    "pandas.Index": "return index.to_list()", "pandas.Categorical": "return value.tolist()",
    "pandas.ExtensionArray": "return value.tolist()",
    "numpy.ndarray": "return array.tolist()", "numpy.datetime64": "return str(value)",
    "numpy.timedelta64": "return str(value)", "numpy.complexfloating": "return [value.real.item(), value.imag.item()]",
    "numpy.dtype": "return str(value)", "numpy.generic": "return value.item()",
    "decimal.Decimal": "return str(value) or float(value)", "fractions.Fraction": "return str(value) or float(value)",
    "uuid.UUID": "return str(value)", "pathlib.PurePath": "return str(value)", "ipaddress._IPAddressBase": "return str(value)",
    "builtins.set": "return sorted(value) or list(value)", "builtins.frozenset": "return sorted(value) or list(value)",
    "builtins.bytes": "return value.decode() or base64.b64encode(value).decode()",
    "builtins.bytearray": "return value.decode() or base64.b64encode(value).decode()",
    "builtins.memoryview": "return value.tobytes().decode()", "builtins.complex": "return [value.real, value.imag]",
    "builtins.range": "return list(value)", "builtins.generator": "return list(value)", "builtins.map": "return list(value)",
    "builtins.filter": "return list(value)", "builtins.zip": "return list(value)", "builtins.enumerate": "return list(value)",
    "builtins.reversed": "return list(value)", "builtins.dict_keys": "return list(value)",
    "builtins.dict_values": "return list(value)", "builtins.dict_items": "return list(value) or dict(value)",
    "builtins.mappingproxy": "return dict(value)", "collections.deque": "return list(value)",
    "collections.UserDict": "return dict(value)", "collections.UserList": "return list(value)",
    "collections.UserString": "return str(value)", "collections.ChainMap": "return dict(value)",
    "array.array": "return value.tolist()", "builtins.BaseException": "return str(value)",
    "builtins.ellipsis": "return None instead", "builtins.NotImplementedType": "return None instead",
    "builtins.type": "return an instance, or value.__name__", "enum.Enum": "return value.value",
    "builtins.coroutine": "make main `async def` and return await value", "builtins.async_generator": "collect it: [x async for x in value]",
    "builtins.function": "call it: return value()", "builtins.method": "call it: return value()",
    "builtins.builtin_function_or_method": "call it: return value()", "functools.partial": "call it: return value()",
    "builtins.module": "return what you need of it", "pydantic.BaseModel": "return value.model_dump()",
    "re.Match": "return value.group()", "re.Pattern": "return value.pattern", "requests.Response": "return response.json() or response.text",
    "sqlite3.Row": "return dict(value)", "sqlite3.Cursor": "return cursor.fetchall()",
    "_io._IOBase": "return value.read()", "polars.DataFrame": "return df.to_dicts()", "torch.Tensor": "return value.tolist()",
    "itertools.": "return list(value)", "_asyncio.Future": "await it",
}  # fmt: skip
_ROOTS = {"_decimal": "decimal", "_pydecimal": "decimal", "_collections": "collections", "_pydatetime": "datetime"}
_FALLBACK = "return only dicts, lists, strings, numbers, booleans and None"


def _names(cls: type) -> Iterator[str]:
    for c in class_chain(cls):
        try:
            module = _type_module(c)
        except BaseException:
            continue
        if type(module) is str:
            root = module.split(".")[0]
            root = _ROOTS.get(root, root)
            yield f"{root}.{_type_name(c)}"
            yield f"{root}."


def explain(value: Any) -> tuple[str, str]:
    """(what the value is, what to return instead)."""
    cls = type(value)
    name = clean(_type_name(cls), _NAME_CHARS)
    what = f"is {name}"
    if any("__dataclass_fields__" in _type_dict(c) for c in class_chain(cls)):
        return what, "return dataclasses.asdict(value)"
    for key in _names(cls):
        if key in _HINTS:
            return what, _HINTS[key]
    if _type_module(cls) == "script":
        return what, "return its fields as a dict, such as vars(value)"
    return what, _FALLBACK
