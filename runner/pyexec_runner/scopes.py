"""Which dotted names a reference in a script may denote, by Python's scoping rules.

One walk gathers scopes, bindings and references; a reference is resolved when
it is asked for, through imports, plain aliases, defaults of parameters,
`importlib.import_module("m")` and `getattr(m, "name")`. All of it is flow
insensitive: a name denotes whatever any binding of it in its scope denotes.
Walking is a loop, since a tree may be deep, and resolving is linear in its size.
"""

from __future__ import annotations

import ast
from typing import Any

IMPORTERS = frozenset(("importlib.import_module", "importlib.__import__", "importlib._bootstrap._gcd_import"))
DEF = "<def>"  # what a name bound by def denotes
MAX_PARTS = 6  # of a dotted name worth following
_MAX_ALIASES = 50  # steps of one chain of aliases


class Scope:
    """A module, class, function or comprehension, and the names it binds."""

    __slots__ = ("kind", "parent", "bound", "outer", "stars", "firm", "deleted", "memo")

    def __init__(self, kind: str, parent: Scope | None) -> None:
        self.kind = kind  # "module", "class", "function" or "comprehension"
        self.parent = parent
        self.bound: dict[str, list[Any]] = {}  # name -> dotted names and expressions it may denote
        self.outer: dict[str, str] = {}  # name -> "global" or "nonlocal"
        self.stars: list[str] = []  # modules of `from m import *`
        self.firm: set[str] = set()  # bound by a statement directly in the body of the module
        self.deleted: set[str] = set()
        self.memo: dict[str, frozenset[str]] = {}


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NOTHING: frozenset[str] = frozenset()
_SKIPPED = frozenset(c for b in (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop) for c in b.__subclasses__()) | {ast.Constant}


class Names:
    """The references of a script, and what they denote."""

    def __init__(self, tree: ast.Module, builtins: frozenset[str], firm_only: bool) -> None:
        self.builtins = builtins  # whose shadowing is looked at closely
        self.firm_only = firm_only  # only a binding that surely happens shadows one of them
        self.module = Scope("module", None)
        self.names: list[tuple[ast.Name, Scope]] = []
        self.chains: list[tuple[ast.Attribute, Scope]] = []
        self.calls: list[tuple[ast.Call, Scope]] = []
        self.subscripts: list[tuple[ast.Subscript, Scope]] = []
        self.imports: list[tuple[ast.AST, str, list[str]]] = []
        self.gather(tree)

    # --- gathering --------------------------------------------------------

    def gather(self, tree: ast.Module) -> None:
        # The third item says: only calls in here are evaluated for effect (an annotation).
        stack: list[tuple[Any, Scope, bool]] = [(n, self.module, False) for n in reversed(tree.body)]
        for n in tree.body:
            self.note_firm(n)
        visitors = {
            ast.FunctionDef: self.function, ast.AsyncFunctionDef: self.function, ast.Lambda: self.function,
            ast.ClassDef: self.class_, ast.Import: self.import_, ast.ImportFrom: self.import_from,
            ast.Assign: self.assign, ast.AnnAssign: self.ann_assign, ast.NamedExpr: self.named,
            ast.Global: self.outer_names, ast.Nonlocal: self.outer_names,
            **dict.fromkeys(_COMPREHENSIONS, self.comprehension),
        }  # fmt: skip
        push = stack.append
        while stack:
            node, scope, annotation = stack.pop()
            cls = type(node)
            if cls is ast.Name:
                if annotation:
                    continue
                if type(node.ctx) is ast.Load:
                    self.names.append((node, scope))
                else:
                    self.bind(scope, node.id, None)
                    if type(node.ctx) is ast.Del:
                        scope.deleted.add(node.id)
                    if node.id == "__builtins__":
                        self.names.append((node, scope))
                continue
            if cls is ast.Attribute and not annotation:
                self.chains.append((node, scope))
                while type(node) is ast.Attribute:  # the whole chain was noted once, from its end
                    node = node.value
                push((node, scope, False))
                continue
            if cls is ast.Call:
                annotation = False
                self.calls.append((node, scope))
            elif cls is ast.Subscript:
                self.subscripts.append((node, scope))
            visit = visitors.get(cls)
            if visit is not None:
                visit(node, scope, stack)
                continue
            name = getattr(node, "name", None) or getattr(node, "rest", None)
            if type(name) is str:  # except ... as, match captures, type parameters
                self.bind(scope, name, None)
            for field in node._fields:
                value = getattr(node, field, None)
                if type(value) is list:
                    for item in value:
                        if isinstance(item, ast.AST) and type(item) not in _SKIPPED:
                            push((item, scope, annotation))
                elif isinstance(value, ast.AST) and type(value) not in _SKIPPED:
                    push((value, scope, annotation))

    def note_firm(self, node: ast.stmt) -> None:
        firm = self.module.firm
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            firm.add(node.name)
        elif isinstance(node, ast.Assign):
            firm.update(t.id for t in node.targets if isinstance(t, ast.Name))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            firm.update(a.asname or a.name.split(".")[0] for a in node.names)

    def bind(self, scope: Scope, name: str, value: Any) -> None:
        kind = scope.outer.get(name)
        if kind == "global":
            scope = self.module
        elif kind == "nonlocal":
            while scope.parent is not None and (scope.kind != "function" or scope.outer.get(name)):
                scope = scope.parent
        scope.bound.setdefault(name, []).append(value)

    def function(self, node: Any, scope: Scope, stack: list[Any]) -> None:
        inner = Scope("function", scope)
        args = node.args
        if not isinstance(node, ast.Lambda):
            self.bind(scope, node.name, DEF)
            # Declared names first: a body may bind them before or after this walk meets the statement.
            self.declare(node.body, inner)
            stack += [(n, inner, False) for n in node.body]
            stack += [(n, scope, False) for n in node.decorator_list]
            stack += [(n, inner, False) for n in getattr(node, "type_params", ())]
            if node.returns is not None:
                stack.append((node.returns, scope, True))
        else:
            stack.append((node.body, inner, False))
        positional = [*args.posonlyargs, *args.args]
        defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
        pairs = [*zip(positional, defaults), *zip(args.kwonlyargs, args.kw_defaults)]
        pairs += [(a, None) for a in (args.vararg, args.kwarg) if a is not None]
        for arg, default in pairs:
            # A default is evaluated outside, and is what the parameter denotes.
            inner.bound.setdefault(arg.arg, []).append((default, scope) if default is not None else None)
            if default is not None:
                stack.append((default, scope, False))
            if arg.annotation is not None:
                stack.append((arg.annotation, scope, True))

    def declare(self, body: list[ast.stmt], scope: Scope) -> None:
        stack: list[ast.AST] = list(body)
        while stack:
            node = stack.pop()
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                self.outer_names(node, scope, stack)
            elif isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.ExceptHandler, ast.AsyncFor, ast.AsyncWith)):
                for field in ("body", "orelse", "finalbody", "handlers"):
                    stack += getattr(node, field, ())
            elif isinstance(node, ast.Match):
                for case in node.cases:
                    stack += case.body

    def class_(self, node: ast.ClassDef, scope: Scope, stack: list[Any]) -> None:
        self.bind(scope, node.name, DEF)
        inner = Scope("class", scope)
        stack += [(n, inner, False) for n in node.body]
        stack += [(n, inner, False) for n in getattr(node, "type_params", ())]
        stack += [(n, scope, False) for n in (*node.bases, *node.keywords, *node.decorator_list)]

    def comprehension(self, node: Any, scope: Scope, stack: list[Any]) -> None:
        inner = Scope("comprehension", scope)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        stack += [(p, inner, False) for p in parts]
        for i, g in enumerate(node.generators):
            stack.append((g.iter, inner if i else scope, False))
            stack.append((g.target, inner, False))
            stack += [(c, inner, False) for c in g.ifs]

    def outer_names(self, node: Any, scope: Scope, stack: list[Any]) -> None:
        for name in node.names:
            scope.outer[name] = "global" if isinstance(node, ast.Global) else "nonlocal"

    def import_(self, node: ast.Import, scope: Scope, stack: list[Any]) -> None:
        for a in node.names:
            self.imports.append((a, a.name, []))
            if a.asname:
                self.bind(scope, a.asname, a.name)
            else:
                root = a.name.split(".")[0]
                self.bind(scope, root, root)

    def import_from(self, node: ast.ImportFrom, scope: Scope, stack: list[Any]) -> None:
        if node.level or not node.module:
            for a in node.names:
                self.bind(scope, a.asname or a.name, None)
            return
        self.imports.append((node, node.module, [a.name for a in node.names]))
        for a in node.names:
            if a.name == "*":
                scope.stars.append(node.module)
            else:
                self.bind(scope, a.asname or a.name, f"{node.module}.{a.name}")

    def assign(self, node: ast.Assign, scope: Scope, stack: list[Any]) -> None:
        stack.append((node.value, scope, False))
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, (ast.Tuple, ast.List)) and isinstance(node.value, (ast.Tuple, ast.List)):
                if len(target.elts) == len(node.value.elts):
                    pairs = list(zip(target.elts, node.value.elts))
            for t, value in pairs:
                if isinstance(t, ast.Name):
                    self.bind(scope, t.id, (value, scope))
                    if t.id == "__builtins__":
                        self.names.append((t, scope))
                else:
                    stack.append((t, scope, False))

    def ann_assign(self, node: ast.AnnAssign, scope: Scope, stack: list[Any]) -> None:
        stack.append((node.annotation, scope, True))
        if node.value is not None:
            stack.append((node.value, scope, False))
        if isinstance(node.target, ast.Name) and node.value is not None:
            self.bind(scope, node.target.id, (node.value, scope))
        elif node.value is not None or not isinstance(node.target, ast.Name) or scope.kind == "function":
            stack.append((node.target, scope, False))

    def named(self, node: ast.NamedExpr, scope: Scope, stack: list[Any]) -> None:
        stack.append((node.value, scope, False))
        target = scope
        while target.kind == "comprehension" and target.parent is not None:
            target = target.parent
        self.bind(target, node.target.id, (node.value, scope))

    # --- resolving --------------------------------------------------------

    def lookup(self, name: str, scope: Scope | None, steps: int) -> frozenset[str]:
        """The dotted names that a name may denote where scope is current."""
        start, first = scope, True
        while scope is not None:
            known = scope.memo.get(name)
            if known is not None and (first or scope.kind != "class"):
                return known
            declared = scope.outer.get(name)
            if declared == "global" and scope is not self.module:
                scope = self.module
                first = True
                continue
            # A class body is seen by its own statements only.
            visible = (first or scope.kind != "class") and not (declared and scope is not self.module)
            if visible and name in scope.bound and not self.falls_through(name, scope):
                if steps > _MAX_ALIASES:
                    return _NOTHING
                scope.memo[name] = _NOTHING  # a cycle of aliases denotes nothing
                out: set[str] = set()
                for value in scope.bound[name]:
                    if type(value) is str:
                        out.add(value)
                    elif type(value) is tuple:
                        if isinstance(value[0], ast.Name) and value[0].id == name and value[1] is scope:
                            out.add("builtins." + name)  # compile = compile
                        else:
                            out |= self.denotes(value[0], value[1], steps + 1)
                scope.memo[name] = frozenset(out)
                return scope.memo[name]
            # A comprehension in a class body does not see the class's names, but its first iterable does.
            first = False
            scope = scope.parent
        out = {"builtins." + name}
        while start is not None:
            out.update(f"{m}.{name}" for m in start.stars)
            start = start.parent
        return frozenset(out)

    def falls_through(self, name: str, scope: Scope) -> bool:
        """Whether a binding of a blocked builtin's name leaves the builtin within reach."""
        if name not in self.builtins or scope.kind not in ("module", "class"):
            return False
        if name in scope.deleted:
            return True
        return self.firm_only and scope.kind == "module" and name not in scope.firm

    def denotes(self, node: Any, scope: Scope, steps: int = 0) -> frozenset[str]:
        attributes: list[str] = []
        while True:
            cls = type(node)
            if cls is ast.Attribute:
                attributes.append(node.attr)
                node = node.value
            elif cls is ast.NamedExpr:
                node = node.value
            else:
                break
        if cls is ast.Name:
            roots = self.lookup(node.id, scope, steps)
        elif cls is ast.Call and steps < _MAX_ALIASES:
            roots = self.denotes_call(node, scope, steps + 1)
        else:
            return _NOTHING
        if not attributes or not roots:
            return roots
        if len(attributes) > MAX_PARTS:
            del attributes[:-MAX_PARTS]
        tail = ".".join(reversed(attributes))
        return frozenset(f"{r}.{tail}" for r in roots if r != DEF)

    def denotes_call(self, node: ast.Call, scope: Scope, steps: int) -> frozenset[str]:
        """import_module("m") denotes m, and getattr(m, "name") denotes m.name."""
        functions = self.denotes(node.func, scope, steps)
        constant = self.constant(node, 1 if "builtins.getattr" in functions else 0)
        if constant is None:
            return _NOTHING
        if functions & IMPORTERS:
            return frozenset((constant,))
        if "builtins.getattr" in functions and node.args:
            return frozenset(f"{r}.{constant}" for r in self.denotes(node.args[0], scope, steps))
        return _NOTHING

    @staticmethod
    def constant(node: ast.Call, index: int) -> str | None:
        values = node.args[index : index + 1] or [k.value for k in node.keywords if k.arg == "name"]
        if values and isinstance(values[0], ast.Constant) and isinstance(values[0].value, str):
            return values[0].value
        return None
