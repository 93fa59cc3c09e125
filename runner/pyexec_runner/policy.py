"""The policy: which operations a script may not even mention.

A courtesy, not a boundary: it tells an author at once, by line, what the
sandbox would refuse anyway, or what no reviewer wants to see. It therefore
errs on the side of ordinary code. Names are resolved by Python's scoping rules
and through plain aliases, so that `re.compile`, `df.eval` and a function of the
script's own named `compile` pass, and `o = os; o.system(...)` does not.

scopes.py resolves the names; this module says which are blocked, and why.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from .report import POLICY_VIOLATION, Refused
from .scopes import DEF, IMPORTERS, MAX_PARTS, Names, Scope

_BUILTINS = {
    "eval": "use ast.literal_eval for data, or call the function you need directly",
    "exec": "define functions and call them instead of building code as text",
    "compile": "define functions instead of building code as text (re.compile is fine)",
    "__import__": "use an import statement, or importlib.import_module with a constant name",
    "__builtins__": "call the builtin by its name",
}
_ONE_PROCESS = "the sandbox runs one process: do the work in Python"
_THREADS = "the sandbox runs one process: use concurrent.futures.ThreadPoolExecutor"
_NATIVE = "use a pure Python module, or numpy"
_CODE_TEXT = "call the functions directly instead of running code from text"
_MODULES = {
    "subprocess": _ONE_PROCESS, "_posixsubprocess": _ONE_PROCESS, "pty": _ONE_PROCESS, "popen2": _ONE_PROCESS,
    "posix": "use os", "nt": "use os", "_winapi": "use os",
    "multiprocessing": _THREADS, "_multiprocessing": _THREADS, "_posixshmem": _THREADS,
    "concurrent.futures.process": _THREADS, "concurrent.futures.ProcessPoolExecutor": _THREADS,
    "asyncio.subprocess": _ONE_PROCESS, "asyncio.create_subprocess_exec": _ONE_PROCESS,
    "asyncio.create_subprocess_shell": _ONE_PROCESS,
    "ctypes": _NATIVE, "_ctypes": _NATIVE, "cffi": _NATIVE, "_cffi_backend": _NATIVE,
    "_testcapi": _NATIVE, "_testinternalcapi": _NATIVE,
    "_xxsubinterpreters": _THREADS, "_interpreters": _THREADS,
}  # fmt: skip
_STRICT_MODULES = {m: _CODE_TEXT for m in ("code", "codeop", "runpy", "pdb", "bdb", "doctest")} | {
    "sys.modules": "import the module by its name",
    "sys._getframe": "pass values as arguments", "sys._current_frames": "pass values as arguments",
    "inspect.currentframe": "pass values as arguments", "inspect.stack": "pass values as arguments",
    "gc.get_objects": "keep references of your own", "gc.get_referrers": "keep references of your own",
    "gc.get_referents": "keep references of your own",
    "types.FunctionType": "define the function with def", "types.CodeType": "define the function with def",
    "cProfile.run": _CODE_TEXT, "cProfile.runctx": _CODE_TEXT, "profile.run": _CODE_TEXT, "profile.runctx": _CODE_TEXT,
    "pkgutil.resolve_name": "import the module by its name",
}  # fmt: skip
_OS_EXACT = frozenset(("system", "startfile"))
_OS_PREFIX = ("popen", "exec", "spawn", "posix_spawn", "fork", "kill")
_LOOP_METHODS = frozenset(("subprocess_exec", "subprocess_shell"))  # of an event loop; no other class has them
_DUNDERS = frozenset(
    "__subclasses__ __globals__ __builtins__ __mro__ __bases__ __base__ __code__ __closure__ __getattribute__ "
    "__loader__ __spec__ __self__ gi_frame gi_code cr_frame cr_code ag_frame ag_code f_globals f_builtins "
    "f_locals f_back f_code tb_frame co_consts".split()
)
_DIRECT = "use the object's own methods and attributes"
_INNER_MODULES = frozenset("os sys subprocess builtins posix importlib ctypes multiprocessing pty gc inspect".split())
_TIMEIT = frozenset(("timeit.timeit", "timeit.repeat", "timeit.Timer"))
_PICKERS = frozenset(("operator.attrgetter", "operator.methodcaller"))


class Violation(NamedTuple):
    """The first blocked operation of a script."""

    operation: str
    hint: str
    line: int
    offset: int  # in UTF-8 bytes, as the tree has it

    def refused(self, text: str) -> Refused:
        """The failure, with the column in characters."""
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        source = lines[self.line - 1] if 0 < self.line <= len(lines) else ""
        column = len(source.encode("utf-8", "replace")[: self.offset].decode("utf-8", "ignore")) + 1
        return Refused(
            POLICY_VIOLATION,
            f"{self.operation} is blocked by the policy (line {self.line}); {self.hint}.",
            line=self.line,
            column=column,
            operation=self.operation,
            hint=self.hint,
        )


def check(tree: ast.Module, *, strict: bool = False) -> Violation | None:
    """The first violation in the order of the source, if there is one."""
    checker = _Checker(tree, strict)
    checker.judge()
    return min(checker.found, key=lambda v: (v.line, v.offset), default=None)


class _Checker:
    def __init__(self, tree: ast.Module, strict: bool) -> None:
        self.strict = strict
        self.script = Names(tree, frozenset(_BUILTINS), firm_only=strict)
        self.denoted = self.script.denotes
        self.found: list[Violation] = []

    def blame(self, node: Any, operation: str, hint: str) -> None:
        self.found.append(Violation(operation, hint, node.lineno, node.col_offset))

    def blocked(self, dotted: str) -> tuple[str, str] | None:
        """(operation, hint) if that dotted name, or a module on the way to it, is blocked."""
        parts = dotted.split(".")
        if parts[0] == "builtins":
            if len(parts) > 1 and parts[1] in _BUILTINS:
                return parts[1], _BUILTINS[parts[1]]
            return None
        if parts[0] == "os" and len(parts) > 1:
            name = parts[1]
            if name in _OS_EXACT or name.startswith(_OS_PREFIX):
                return f"os.{name}", _ONE_PROCESS
        for i in range(1, min(len(parts), 4) + 1):
            prefix = ".".join(parts[:i])
            if prefix in _MODULES:
                return prefix, _MODULES[prefix]
            if self.strict and prefix in _STRICT_MODULES:
                return prefix, _STRICT_MODULES[prefix]
        if self.strict and len(parts) > 1:
            for part in parts[1:]:
                if part.lstrip("_") in _INNER_MODULES and (parts[0], part) != ("asyncio", "subprocess"):
                    return dotted, "import the module by its own name"
        return None

    def judge(self) -> None:
        for node, module, names in self.script.imports:
            for dotted in [module] + [f"{module}.{n}" for n in names if n != "*"]:
                if hit := self.blocked(dotted):
                    self.blame(node, *hit)
                    break
        starred = bool(self.script.module.stars)
        for name, scope in self.script.names:
            if name.id == "__builtins__":
                self.blame(name, name.id, _BUILTINS[name.id])
            elif name.id in _BUILTINS or starred:
                for dotted in self.script.lookup(name.id, scope, 0):
                    # Other names were judged where they were imported or assigned.
                    plain = dotted == "builtins." + name.id or any(dotted == f"{m}.{name.id}" for m in self.script.module.stars)
                    if plain and (hit := self.blocked(dotted)):
                        self.blame(name, *hit)
        for chain, scope in self.script.chains:
            self.judge_chain(chain, scope)
        for call, scope in self.script.calls:
            self.judge_call(call, scope)
        if self.strict:
            for subscript, scope in self.script.subscripts:
                self.judge_namespace(subscript, subscript.value, subscript.slice, scope)

    def judge_chain(self, node: ast.Attribute, scope: Scope) -> None:
        attributes: list[str] = []
        inner: Any = node
        while type(inner) is ast.Attribute:
            attributes.append(inner.attr)
            if inner.attr in _LOOP_METHODS:
                self.blame(inner, inner.attr, _ONE_PROCESS)
            elif self.strict and inner.attr in _DUNDERS:
                self.blame(inner, inner.attr, _DIRECT)
            inner = inner.value
        if type(inner) not in (ast.Name, ast.Call, ast.NamedExpr) or type(node.ctx) is not ast.Load:
            return
        for root in self.denoted(inner, scope):
            if root != DEF:
                attributes_in_order = attributes[: -MAX_PARTS - 1 : -1]
                if hit := self.blocked(".".join([root, *attributes_in_order])):
                    self.blame(node, *hit)
                elif self.strict and "__dict__" in attributes and self.is_module(root):
                    self.blame(node, f"{root}.__dict__", _DIRECT)

    def judge_call(self, node: ast.Call, scope: Scope) -> None:
        functions = self.denoted(node.func, scope)
        if functions & IMPORTERS:
            name = self.script.constant(node, 0)
            if name is not None:
                if hit := self.blocked(name):
                    self.blame(node, *hit)
            elif self.strict:
                self.blame(node, "importlib.import_module", "give the module's name as a constant")
        if "builtins.getattr" in functions and node.args:
            name = self.script.constant(node, 1)
            for root in self.denoted(node.args[0], scope):
                if name is not None and (hit := self.blocked(f"{root}.{name}")):
                    self.blame(node, *hit)
                elif name is None and self.strict and self.is_module(root):
                    self.blame(node, "getattr", "name the attribute: module.attribute")
            if self.strict and name in _DUNDERS:
                self.blame(node, name, _DIRECT)
        if self.strict:
            self.judge_strictly(node, functions, scope)

    def judge_strictly(self, node: ast.Call, functions: frozenset[str], scope: Scope) -> None:
        if functions & _PICKERS:
            for arg in node.args:
                if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
                    for part in arg.value.split("."):
                        if part in _DUNDERS:
                            self.blame(node, part, _DIRECT)
        if isinstance(node.func, ast.Call) and self.denoted(node.func.func, scope) & _PICKERS:
            if any(self.is_module(r) for a in node.args for r in self.denoted(a, scope)):
                self.blame(node, "operator.attrgetter", "name the attribute: module.attribute")
        if "builtins.vars" in functions and node.args:
            if any(self.is_module(r) for r in self.denoted(node.args[0], scope)):
                self.blame(node, "vars", "name the attribute: module.attribute")
        if functions & _TIMEIT:
            texts = [*node.args[:2], *(k.value for k in node.keywords if k.arg in ("stmt", "setup"))]
            if any(not isinstance(t, ast.Lambda) and DEF not in self.denoted(t, scope) for t in texts):
                self.blame(node, "timeit", "pass a function: timeit.timeit(lambda: f())")
        func = node.func
        if isinstance(func, ast.Attribute) and func.attr in ("get", "pop", "setdefault", "__getitem__"):
            self.judge_namespace(node, func.value, node.args[0] if node.args else None, scope)

    def judge_namespace(self, node: Any, holder: Any, key: Any, scope: Scope) -> None:
        """globals()[...] and its like lead to __builtins__."""
        if not isinstance(holder, ast.Call):
            return
        called = self.denoted(holder.func, scope)
        if not called & {"builtins.globals", "builtins.vars", "builtins.locals"}:
            return
        if isinstance(key, ast.Constant):
            if key.value in _DUNDERS:
                self.blame(node, str(key.value), _DIRECT)
        elif "builtins.globals" in called and isinstance(getattr(node, "ctx", None), (ast.Load, type(None))):
            self.blame(node, "globals", "name the global, or keep your own dict of functions")

    @staticmethod
    def is_module(dotted: str) -> bool:
        """Whether a dotted name looks like a module: imported, and its last part in lower case."""
        return dotted != DEF and not dotted.startswith("builtins.") and dotted.rpartition(".")[2].islower() and dotted.count(".") < 2
