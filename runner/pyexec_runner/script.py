"""Reads a script: parses it once, and finds the main that a run calls.

What is checked is what runs: the text is parsed to a tree, the policy looks at
that tree, and that tree is compiled. Bytes are never parsed, so an encoding
cookie stays a comment.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any, NamedTuple

from . import policy
from .report import FILENAME, INVALID_REQUEST, MISSING_MAIN, MISSING_RETURN, SYNTAX_ERROR, Refused, clean

globals()["__builtins__"] = dict(vars(builtins))  # see report.py

_SOURCE_CHARS = 200
_TOO_DEEP = "the script is too deeply nested to parse"
_EXAMPLE = "define it at the top level: def main(): return {...}"

# What ast.parse and compile raise on hostile text, measured (security.md, section 8).
# MemoryError here is the parser's own limit, not a lack of memory.
_PARSER_ERRORS = (SyntaxError, RecursionError, MemoryError, ValueError, OverflowError, SystemError)


class Script(NamedTuple):
    """A script that may run."""

    code: CodeType
    main_line: int | None  # where main is bound, if the text shows it


def read(source: str, level: str) -> Script:
    """Parses and checks a script, in the order syntax, policy, main. Raises Refused."""
    text = source[1:] if source.startswith("\ufeff") else source
    tree = _guarded(lambda: ast.parse(text, FILENAME), text)
    code = _guarded(lambda: compile(tree, FILENAME, "exec", dont_inherit=True), text)
    if level != "off":
        try:
            found = policy.check(tree, strict=level == "strict")
        except RecursionError:
            raise Refused(SYNTAX_ERROR, f"SyntaxError: {_TOO_DEEP}.") from None
        if found is not None:
            raise found.refused(text)
    return Script(code, _check_main(tree))


def lines_of(text: str) -> list[str]:
    """The lines as Python's tokenizer sees them: form feeds and U+2028 end none."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _guarded(step: Any, text: str) -> Any:
    limit = sys.getrecursionlimit()
    try:
        return step()
    except _PARSER_ERRORS as err:
        raise _syntax_error(err, text) from None
    finally:
        sys.setrecursionlimit(limit)


def _syntax_error(err: BaseException, text: str) -> Refused:
    if not isinstance(err, SyntaxError):
        if isinstance(err, UnicodeEncodeError):
            place = text.count("\n", 0, err.start) + 1
            return Refused(SYNTAX_ERROR, f"SyntaxError: a lone surrogate is not text (line {place}).", line=place)
        if isinstance(err, (RecursionError, MemoryError, SystemError)):
            return Refused(
                SYNTAX_ERROR,
                f"SyntaxError: {_TOO_DEEP}.",
                hint="build large data in a loop, or send it as input or files",
            )
        return Refused(SYNTAX_ERROR, f"SyntaxError: {clean(str(err), 300)}.")
    line: int | None = err.lineno if err.lineno and err.lineno > 0 else None
    column = err.offset if line and err.offset and err.offset > 0 else None
    source = None
    if line:
        lines = lines_of(text)
        if line <= len(lines):
            start = max(0, (column or 1) - _SOURCE_CHARS // 2) if len(lines[line - 1]) > _SOURCE_CHARS else 0
            source = lines[line - 1][start : start + _SOURCE_CHARS]
    where = f" (line {line})" if line else ""
    return Refused(
        SYNTAX_ERROR,
        f"{type(err).__name__}: {clean(str(err.msg), 500)}{where}",
        line=line,
        column=column,
        source_line=source,
    )


# --- main -------------------------------------------------------------------

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
# A script that has none of these cannot bind a name that its text does not show.
_DYNAMIC = frozenset(("globals", "vars", "locals", "exec", "setattr", "eval", "modules", "__dict__"))


def _check_main(tree: ast.Module) -> int | None:
    """Refuses a script that cannot have a main, or whose def main returns nothing."""
    bindings = list(_bindings_of_main(tree.body))
    if not bindings:
        if _may_bind_unseen(tree):
            return None
        raise no_main(tree)
    # Later definitions replace earlier ones, so only the last statement that
    # binds main counts; a compound one may hold several, of which any may win.
    last = max(i for i, node in bindings)
    for _, node in (b for b in bindings if b[0] == last):
        if isinstance(node, _FUNCTIONS):
            _check_function(node)
    line: int = bindings[-1][1].lineno
    return line


def no_main(tree: ast.Module | None = None) -> Refused:
    """The refusal of a script without main, with a hint that fits where one is to be seen."""
    hint, line = _EXAMPLE, None
    if tree is not None:
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS) and node.name.lower() == "main":
                line = node.lineno
                hint = (
                    "move main to the top level of the script: a method or a nested function does not count"
                    if node.name == "main"
                    else f"rename {node.name} to main"
                )
                break
        else:
            defs = [n for n in tree.body if isinstance(n, _FUNCTIONS)]
            if len(defs) == 1:
                hint = f"add def main(): return {clean(defs[0].name, 60)}(...)"
    return Refused(MISSING_MAIN, f"The script defines no main; {hint}.", line=line, hint=hint)


def _bindings_of_main(body: list[ast.stmt]) -> Iterator[tuple[int, Any]]:
    """(index of the top-level statement, node) for each place that binds the name main."""
    for index, statement in enumerate(body):
        stack: list[ast.AST] = [statement]
        while stack:
            node = stack.pop()
            if _binds_main(node):
                yield index, node
            if isinstance(node, _SCOPES):
                continue
            if isinstance(node, ast.comprehension):
                stack += [node.iter, *node.ifs]  # its target is not the module's
            elif not isinstance(node, (ast.Constant, ast.expr_context)):
                stack += ast.iter_child_nodes(node)


def _binds_main(node: ast.AST) -> bool:
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        return node.name == "main"
    if isinstance(node, ast.Name):
        return node.id == "main" and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.alias):
        return (node.asname or node.name.split(".")[0]) == "main"
    if isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)):
        return node.name == "main"
    return isinstance(node, ast.MatchMapping) and node.rest == "main"


def _may_bind_unseen(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _DYNAMIC:
            return True
        if isinstance(node, ast.Attribute) and node.attr in _DYNAMIC:
            return True
        if isinstance(node, ast.Global) and "main" in node.names:
            return True
        if isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names):
            return True
    return False


def _check_function(node: Any) -> None:
    returns, yields = _own_returns(node)
    if yields:
        if node.decorator_list:
            return  # a decorator may collect what it yields: known only once it ran
        hint = "collect the values and return them: return list(...)"
        kind = "an async generator" if isinstance(node, ast.AsyncFunctionDef) else "a generator"
        raise Refused(
            MISSING_RETURN,
            f"main is {kind} (it uses yield, line {yields}) and returns no result; {hint}.",
            line=node.lineno,
            hint=hint,
        )
    try:
        open_end = not returns and not _never_ends(node.body)
    except RecursionError:  # a thousand elif: let it run
        open_end = False
    if open_end:
        hint = "end main with `return <result>`, or `return None` where there is none"
        raise Refused(
            MISSING_RETURN, f"main (line {node.lineno}) has no return statement; {hint}.", line=node.lineno, hint=hint
        )


def _own_returns(function: Any) -> tuple[bool, int | None]:
    """Whether the function itself has a return, and the line of its first yield."""
    returns, yields = False, None
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Return):
            returns = True
        elif isinstance(node, (ast.Yield, ast.YieldFrom)):
            yields = min(yields or node.lineno, node.lineno)
        if not isinstance(node, (*_SCOPES, ast.Constant, ast.expr_context)):
            stack += ast.iter_child_nodes(node)
    return returns, yields


def _never_ends(body: list[ast.stmt]) -> bool:
    """Whether control cannot fall off the end of these statements."""
    return any(_stops(statement) for statement in body)


def _stops(node: ast.stmt) -> bool:
    if isinstance(node, (ast.Raise, ast.Return)):
        return True
    if isinstance(node, ast.While):
        return isinstance(node.test, ast.Constant) and bool(node.test.value) and not _breaks(node.body)
    if isinstance(node, ast.If):
        return _never_ends(node.body) and _never_ends(node.orelse)
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return _never_ends(node.body)
    if isinstance(node, (ast.Try, ast.TryStar)):
        if _never_ends(node.finalbody):
            return True
        main = _never_ends(node.body) or _never_ends(node.orelse)
        return main and all(_never_ends(h.body) for h in node.handlers)
    if isinstance(node, ast.Match):
        default = any(
            isinstance(c.pattern, ast.MatchAs) and c.pattern.pattern is None and c.guard is None for c in node.cases
        )
        return default and all(_never_ends(c.body) for c in node.cases)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        # Not a raise to the eye, but one to the author: such a run is `exited`.
        func = node.value.func
        if isinstance(func, ast.Name):
            return func.id in ("exit", "quit")
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
            return (func.value.id, func.attr) in (("sys", "exit"), ("os", "_exit"), ("os", "abort"))
    return False


def _breaks(body: list[ast.stmt]) -> bool:
    """Whether a break in here leaves the loop that this is the body of."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            stack += node.orelse
        elif isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)) and not isinstance(node, _SCOPES):
            stack += ast.iter_child_nodes(node)
    return False


# --- main's one argument ----------------------------------------------------


class Parameters(NamedTuple):
    """What a call of main may look like."""

    required: list[str]
    optional: int
    variadic: bool
    keyword_only: list[str]  # required ones


def arguments(parameters: Parameters | None, request: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments to call main with: the request's input, where main takes one. Raises Refused."""
    given = (request["input"],) if "input" in request else ()
    if parameters is None:
        return given
    p = parameters
    message = ""
    if p.keyword_only:
        names = clean(", ".join(p.keyword_only), 200)
        message = f"main requires keyword-only parameters ({names}), but gets at most one argument, by position; give them defaults."
    elif len(p.required) > 1:
        names = clean(", ".join(p.required), 200)
        message = f"main requires {len(p.required)} arguments ({names}), but gets one, the request's input; take one and unpack it."
    elif p.required and not given:
        name = clean(p.required[0], 100)
        message = f'main requires the argument "{name}", but the request has no "input"; send one, or give {name} a default.'
    elif given and not p.required and not p.optional and not p.variadic:
        message = 'The request has an "input", but main takes no parameter; define def main(input), or send no input.'
    if message:
        raise Refused(INVALID_REQUEST, message, field="input")
    return given
