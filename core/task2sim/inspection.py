"""Finding what is wrong with a plugin without importing it: its source is read, and nothing in it is run.

What the source does not show for certain is not claimed; an import shows the rest.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib.machinery import ModuleSpec
from pathlib import Path

import attrs

import task2sim
from task2sim.interfaces import Component, ComponentConfig

CORE = "task2sim"

CAN_BIND_ANY_NAME = {"globals", "locals", "vars", "exec", "eval", "setattr", "__dict__"}


@attrs.frozen
class Fault:
    """What is wrong with a plugin.

    Attributes:
        message: In one clause that follows the plugin's title.
        mend: What to do about it.
    """

    message: str
    mend: str


class _FaultFound(Exception):
    def __init__(self, message: str, mend: str = "report it to its author, or choose another") -> None:
        super().__init__(message)
        self.fault = Fault(message, mend)


class _CannotTell(Exception):
    """The source does not show it."""


@attrs.frozen
class _Imported:
    """A name that a module has from another one."""

    module: str
    name: str


def find_fault(target: str, interface: type[Component]) -> Fault | None:
    """The first fault of a component that its source shows: what importing it would fail with.

    Found are modules that are missing (the component's own, and those it imports unconditionally), syntax errors,
    exceptions that a module always raises, a class that is missing, has another base or is abstract.

    Args:
        target: ``module:Class``.
        interface: The base class it must have.
    """
    module, _, attribute = target.partition(":")
    try:
        inspection = _Inspection(module.partition(".")[0])
        inspection.check_module(module)
        inspection.check_class(module, attribute, interface, target)
    except _FaultFound as found:
        return found.fault
    except Exception:
        # _CannotTell, a finder of somebody's that fails, source too deep to parse: an import will tell.
        return None
    return None


class _Inspection:
    def __init__(self, package: str) -> None:
        self.package = package
        self.checked: set[str] = set()
        self.specs: dict[str, ModuleSpec | None] = {}
        self.trees: dict[str, ast.Module | None] = {}

    def spec(self, name: str) -> ModuleSpec | None:
        # Not importlib.util.find_spec, which imports the packages that a module lies in.
        if name not in self.specs:
            self.specs[name] = self._find_spec(name)
        return self.specs[name]

    def _find_spec(self, name: str) -> ModuleSpec | None:
        if (loaded := sys.modules.get(name)) is not None and loaded.__spec__ is not None:
            return loaded.__spec__
        path = None
        if parent := name.rpartition(".")[0]:
            above = self.spec(parent)
            if above is None or above.submodule_search_locations is None:
                return None
            path = list(above.submodule_search_locations)
        for finder in sys.meta_path:
            if (spec := finder.find_spec(name, path)) is not None:
                return spec
        return None

    def tree(self, name: str) -> ast.Module | None:
        """A module's source; None if it has none."""
        if name not in self.trees:
            spec = self.spec(name)
            origin = None if spec is None else spec.origin
            self.trees[name] = _parse(Path(origin)) if origin is not None and origin.endswith(".py") else None
        return self.trees[name]

    def check_module(self, name: str) -> None:
        """Go through what always happens when a module of the plugin's package is imported."""
        if name in self.checked:
            return
        self.checked.add(name)
        if parent := name.rpartition(".")[0]:
            self.check_module(parent)
        spec = self.spec(name)
        if spec is None:
            raise _FaultFound(f"there is no module {name!r}", "reinstall it, or put its folder on PYTHONPATH")
        tree = self.tree(name)
        if tree is None:
            return
        # Only statements that nothing guards: an import within "try" or "if" may be meant to fail.
        for statement in tree.body:
            place = f"{spec.origin}:{statement.lineno}"
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    self._check_import(alias.name, place)
            elif isinstance(statement, ast.ImportFrom):
                source = self._source(name, statement)
                self._check_import(source, place)
                for alias in statement.names:
                    self._check_imported_name(source, alias.name, place)
            elif isinstance(statement, ast.Raise):
                raise _FaultFound(f"{place} always raises: {ast.unparse(statement)}")

    def _check_import(self, name: str, place: str) -> None:
        package = name.partition(".")[0]
        if self.spec(package) is None:
            raise _FaultFound(f"{place} imports {package!r}, which is not installed", "install what brings it")
        if package == self.package:
            if self.spec(name) is None:
                raise _FaultFound(f"{place} imports {name!r}, which is not there")
            self.check_module(name)

    def _check_imported_name(self, module: str, name: str, place: str) -> None:
        if module == CORE and name != "*" and not hasattr(task2sim, name) and self.spec(f"{CORE}.{name}") is None:
            near = get_close_matches(name, task2sim.__all__, 1, 0.6)
            mend = f"did you mean {near[0]!r}?" if near else "install versions of both that fit"
            raise _FaultFound(f"{place} imports {name!r} from task2sim, which has none", mend)
        if module.partition(".")[0] == self.package and name != "*" and self.spec(f"{module}.{name}") is not None:
            self.check_module(f"{module}.{name}")

    def _source(self, module: str, statement: ast.ImportFrom) -> str:
        """The whole name of the module that a statement imports from."""
        if not statement.level:
            return statement.module or ""
        spec = self.spec(module)
        is_package = spec is not None and spec.submodule_search_locations is not None
        parts = module.split(".")
        kept = len(parts) - statement.level + is_package
        if kept < 1:
            raise _CannotTell
        return ".".join([*parts[:kept], *([statement.module] if statement.module else [])])

    def check_class(self, module: str, name: str, interface: type[Component], target: str) -> None:
        """Find the class, and see whether it is one of its kind and complete."""
        tree = self.tree(module)
        if tree is None or "." in name:
            raise _CannotTell
        bound = self.bindings(module, tree)
        if name not in bound:
            if (
                any(
                    isinstance(node, ast.Name | ast.Attribute) and _name_of(node) in CAN_BIND_ANY_NAME
                    for node in ast.walk(tree)
                )
                or "__getattr__" in bound
                or "*" in bound
            ):
                raise _CannotTell
            near = get_close_matches(
                name, [key for key, (what, *_) in bound.items() if isinstance(what, ast.ClassDef)]
            )
            raise _FaultFound(
                f"module {module!r} has no {name!r}",
                f"correct its entry point: did you mean {near[0]!r}?" if near else "correct its entry point",
            )
        if len(bound[name]) > 1:
            raise _CannotTell
        (what,) = bound[name]
        if isinstance(what, _Imported) and what.module.partition(".")[0] == self.package:
            if what.module == module:
                raise _CannotTell
            self.check_class(what.module, what.name, interface, target)
            return
        mend = "derive it from there, or correct its entry point"
        wrong = f"{target} is not a subclass of task2sim.{interface.__name__}"
        if isinstance(what, ast.FunctionDef | ast.AsyncFunctionDef | ast.Constant):
            raise _FaultFound(wrong, mend)
        bases, own_names, config = self.ancestry(module, what)
        if not any(issubclass(base, interface) for base in bases):
            raise _FaultFound(wrong, mend)
        if isinstance(config, ast.ClassDef):
            try:
                config_bases, _, _ = self.ancestry(module, config)
            except _CannotTell:
                config_bases = {ComponentConfig}
            if not any(issubclass(base, ComponentConfig) for base in config_bases):
                raise _FaultFound("its Config is not a subclass of task2sim.ComponentConfig", "derive it from there")
        abstract = {name for base in bases for name in getattr(base, "__abstractmethods__", ())}
        given = {
            name
            for name in abstract
            for base in bases
            if name not in getattr(base, "__abstractmethods__", ()) and hasattr(base, name)
        }
        if missing := abstract - given - own_names:
            raise _FaultFound(f"it does not implement {', '.join(sorted(missing))}", "write what is missing")

    def ancestry(self, module: str, what: object) -> tuple[set[type], set[str], object]:
        """The classes of the core or of Python that a class comes from, the names it has beyond theirs, its Config.

        Raises:
            _CannotTell: some base lies elsewhere, or a decorator or a metaclass may change the class.
        """
        if isinstance(what, _Imported):
            if what.module != CORE or not isinstance(found := getattr(task2sim, what.name, None), type):
                raise _CannotTell
            return {found}, set(), None
        if not isinstance(what, ast.ClassDef) or what.decorator_list or what.keywords:
            raise _CannotTell
        tree = self.tree(module)
        assert tree is not None
        outside = self.bindings(module, tree)
        inside = self.bindings(module, what)
        if "*" in inside:
            raise _CannotTell
        bases: set[type] = set() if what.bases else {object}
        names = set(inside)
        config: object = inside["Config"][-1] if "Config" in inside else None
        for base in what.bases:
            more, their_names, their_config = self.ancestry(module, _resolve(base, outside))
            bases |= more
            names |= their_names
            config = config or their_config
        return bases, names, config

    def bindings(self, module: str, scope: ast.Module | ast.ClassDef) -> dict[str, list[object]]:
        """What each name of a module or a class is bound to; ``*`` stands for names that can't be seen."""
        bound: dict[str, list[object]] = {}
        for statement in _statements(scope.body):
            if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                bound.setdefault(statement.name, []).append(statement)
            elif isinstance(statement, ast.Import):
                for alias in statement.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    bound.setdefault(name, []).append(_Imported(alias.name if alias.asname else name, ""))
            elif isinstance(statement, ast.ImportFrom):
                source = self._source(module, statement)
                for alias in statement.names:
                    if alias.name == "*" and source == CORE:
                        for name in task2sim.__all__:
                            bound.setdefault(name, []).append(_Imported(CORE, name))
                    else:
                        bound.setdefault(alias.asname or alias.name, []).append(_Imported(source, alias.name))
            elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    for node in ast.walk(target):
                        if isinstance(node, ast.Name):
                            bound.setdefault(node.id, []).append(statement.value)
            else:
                # Loop variables, "with ... as", "match", "del", the walrus.
                for node in ast.walk(statement):
                    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                        bound.setdefault(node.id, []).append(node)
        return bound


def _parse(path: Path) -> ast.Module:
    source = path.read_bytes()
    try:
        tree = ast.parse(source, str(path))
        # The parser alone accepts some of what Python refuses, such as "return" outside a function.
        compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise _FaultFound(f"{path}:{error.lineno} has a syntax error: {error.msg}") from None
    return tree


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements, and those within them that share their names."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for field in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, field, ()))
        for handler in [*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]:
            yield from _statements(handler.body)


def _resolve(base: ast.expr, bound: dict[str, list[object]]) -> object:
    """What an expression in a list of bases stands for."""
    if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
        if bound.get(base.value.id) == [_Imported(CORE, "")]:
            return _Imported(CORE, base.attr)
    elif isinstance(base, ast.Name):
        found = bound.get(base.id, [])
        if len(found) == 1:
            return found[0]
        if not found and "*" not in bound and hasattr(builtins, base.id):
            return ast.ClassDef(base.id, [], [], [], [])
    raise _CannotTell


def _name_of(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr
