"""Changes decisions, loop guard and tables in one place at a time, and prints what none of their tests notices.

Run with `python tests/mutate.py` (not on Windows, which has no `os.fork`); `--only 180` mutates a single line.
Each mutant runs in a process of its own, in memory: no file is written. Changes that make no difference are listed in
`EQUIVALENT`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from _pytest.runner import runtestprotocol

import placed_rows

MODULES = ("decisions", "loops", "tables")
"""Of `s1_hf.forcing`; the tests of each are in `tests/forcing`."""
SECONDS = 60
"""A mutant that runs longer than this has been noticed: it hangs."""

COMPARED: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq, ast.LtE, ast.GtE],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
CALCULATED: dict[type[ast.operator], list[type[ast.operator]]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add],
    ast.Mod: [ast.FloorDiv],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
}
RENAMED = {
    "NATURAL": ["CUT"],
    "CUT": ["LOOPED"],
    "LOOPED": ["CUT"],
    "CELL": ["THINKING"],
    "THINKING": ["PENDING", "ANSWER"],
    "max_thinking_tokens": ["min_thinking_tokens"],
    "min_thinking_tokens": ["max_thinking_tokens"],
    "ignores_used": ["ends_ignored"],
    "ends_ignored": ["ignores_used"],
    "cut_after_line": ["cut_after_text"],
    "cut_after_text": ["cut_after_line"],
    "stop_message": ["natural"],
    "CUT_TEXT": ["CUT_LINE"],
    "CUT_LINE": ["CUT_TEXT"],
    "LOOPED_TEXT": ["CUT_TEXT"],
    "LOOPED_LINE": ["LOOPED_TEXT"],
    "SKIPPED": ["SKIPPED_EARLY"],
    "SKIPPED_EARLY": ["SKIPPED"],
    "MESSAGE": ["CUT_TEXT"],
    "HONOURED": ["SKIPPED"],
    "line_kinds": ["soft_kinds"],
    "soft_kinds": ["line_kinds"],
    "end_kinds": ["line_kinds"],
    "all": ["any"],
    "any": ["all"],
    "max": ["min"],
    "min": ["max"],
    "zeros_like": ["ones_like"],
}

TWO_DIMENSIONS = "the tensor has two dimensions, so that 1 is the last"
ALIKE = "a tensor of integers and booleans is one of integers"
OUTSIDE = "what is compared there lies outside every stretch that thinking could fill"
ONE_WAIT = "of one Wait the first is always next; asking saves kernels"
LOOKS = "where no row is meant nothing changes; looking saves kernels"
NO_ROOM = "an end that is ignored although the Wait has no room is below the minimum"
NO_CLASS = "a token with effects of its own is never told apart by cells in which all tokens do the same"
NOT_READ = "only what a thinking cell says of closing is read, and each of those says all of it"
NOT_A_TOKEN = "any number does that is no token with an effect of its own"
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "first_state",
        "torch.tensor([tuple(map(int, state)) for state in states], dtype=torch.long)",
        "torch.tensor([tuple(map(int, state)) for state in states])",
    ): "integers are int64 by default",
    ("module", "MOST_TOKENS = 4096", "pass"): "the name is left from before",
    ("move_of", "State(0)", "State(1)"): "an effect does not look at the cell",
    ("move_of", "State(0)", "State(-1)"): "an effect does not look at the cell",
    (
        "classified",
        "{Kind((None,) * len(telling)): 0}",
        "{Kind((None,) * len(telling)): 1}",
    ): "no token of the others is looked up",
    (
        "classified",
        "{Kind((None,) * len(telling)): 0}",
        "{Kind((None,) * len(telling)): -1}",
    ): "no token of the others is looked up",
    ("highest", "scores.argmax(-1)", "scores.argmax(1)"): TWO_DIMENSIONS,
    (
        "looping",
        "((same | outside).all(-1) & (thinking[:, None] >= stretch)).any(-1)",
        "((same | outside).all(-1) & (thinking[:, None] >= stretch)).any(1)",
    ): TWO_DIMENSIONS,
    ("looping", "width - input_ids.shape[1]", "width + input_ids.shape[1]"): "what is too wide is cut off again",
    ("looping", "width - input_ids.shape[1]", "width"): "what is too wide is cut off again",
    ("looping", "max(width - input_ids.shape[1], 0)", "max(width - input_ids.shape[1], 1)"): "likewise",
    ("looping", "max(width - input_ids.shape[1], 0)", "max(width - input_ids.shape[1], -1)"): "likewise",
    (
        "looping",
        "torch.nn.functional.pad(input_ids, (padding, 0), value=-1)",
        "torch.nn.functional.pad(input_ids, (padding, 0))",
    ): OUTSIDE,
    ("looping", "value=-1", "value=1"): OUTSIDE,
    ("looping", "value=-1", "value=-2"): OUTSIDE,
    ("looping", "value=-1", "value=-0"): OUTSIDE,
    ("looping", "(at - periods[:, None]).clamp(min=0)", "at - periods[:, None]"): OUTSIDE,
    ("looping", "min=0", "min=-1"): OUTSIDE,
    ("Limits", "zip(self, (NO_LIMIT, 0, 0, 0), strict=True)", "zip(self, (NO_LIMIT, 0, 0, 0))"): "both have four",
    ("judge", "if possibly(ruling):", "if True:"): LOOKS,
    ("_on_wishes", "state[Field.IGNORED] % waits if waits > 1 else 0", "state[Field.IGNORED] % waits"): ONE_WAIT,
    ("_on_wishes", "waits > 1", "waits >= 1"): ONE_WAIT,
    ("_on_wishes", "waits > 1", "waits > 0"): ONE_WAIT,
    ("_on_wishes", "waits > 1", "True"): ONE_WAIT,
    ("Limits", "strict=True", "strict=False"): "both have four",
    (
        "_without_unknown",
        "if len(tables.unused_ids):",
        "if True:",
    ): "filling in no place changes nothing; asking saves a kernel",
    ("_force", "scores.gather(1, place)", "scores"): "rows that are not forced write back their first score",
    ("_force", "if not possibly(only):", "if False:"): LOOKS,
    ("_force", "if not possibly(only):", "pass"): LOOKS,
    ("_without", "if possibly(banned):", "if True:"): LOOKS,
    ("_on_caps", "if not possibly(full):", "if False:"): LOOKS,
    ("_on_caps", "if not possibly(full):", "pass"): LOOKS,
    (
        "_on_caps",
        "if tables.message_length:",
        "if True:",
    ): "a message of no tokens changes nothing",
    ("_on_caps", "thought < stop_at", "thought <= stop_at"): "at `stop_at` thinking is cut anyhow",
    (
        "_on_wishes",
        "tables.has_wait and cap is not None and (limits.min_thinking_tokens is not None)",
        "cap is not None",
    ): NO_ROOM,
    ("_on_wishes", "limits.min_thinking_tokens is not None", "True"): NO_ROOM,
    ("_on_wishes", "limits.min_thinking_tokens", "limits.max_thinking_tokens"): NO_ROOM,
    (
        "_moved",
        "added.addcmul_(times, state).addcmul_(of_pending, state[Field.PENDING])",
        "added.addcmul_(times, state).addcmul_(state[Field.PENDING], of_pending)",
    ): "factors may change places",
    ("_moved", "added.addcmul_(times, state)", "added.addcmul_(state, times)"): "factors may change places",
    ("possibly", "bool(rows.numpy().any())", "rows.numpy().any()"): "only whether it is true is asked",
    ("possibly", "rows.numpy()", "rows"): "slower",
    ("highest", "if scores.device.type == 'cpu' and scores.dtype == torch.float32:", "if False:"): "slower",
    ("highest", "if scores.device.type == 'cpu' and scores.dtype == torch.float32:", "pass"): "slower",
    ("highest", "scores.device.type == 'cpu'", "False"): "slower",
    ("highest", "scores.dtype == torch.float32", "False"): "slower",
    ("highest", "scores.detach().numpy().argmax(-1)", "scores.detach().numpy().argmax(1)"): TWO_DIMENSIONS,
    ("highest", "scores.detach()", "scores"): "no gradients are wanted here",
    ("module", "RAISED = 1e+30", "pass"): "the name is left from before",
    ("module", "RAISED = 1e+30", "RAISED = 1e+30"): "the same number in floating point",
    ("move_of", "tuple(times)", "times"): "a tensor is made of lists as of tuples",
    ("move_of", "tuple(of_pending)", "of_pending"): "a tensor is made of lists as of tuples",
    ("classified", "len(of_cell) > 1", "len(of_cell) >= 1"): NO_CLASS,
    ("classified", "len(of_cell) > 1", "len(of_cell) > 0"): NO_CLASS,
    ("classified", "len(of_cell) > 1", "True"): NO_CLASS,
    ("classified", "{(None,) * len(telling): 0}", "{(None,) * len(telling): 1}"): "only its length is read",
    ("classified", "{(None,) * len(telling): 0}", "{(None,) * len(telling): -1}"): "only its length is read",
    ("classified", "sorted(tokens - {OTHERS})", "tokens - {OTHERS}"): "kinds are numbered in another order",
}
"""Changes that make no difference, by function, before and after as they are printed, with the reason."""
for _other in ("pass", "OTHERS = 1", "OTHERS = -2", "OTHERS = -0"):
    EQUIVALENT["module", "OTHERS = -1", _other] = NOT_A_TOKEN
for _name in ("natural", "cut_after_line", "cut_after_text", "stop_message"):
    for _number in ("1", "-2", "-0"):
        EQUIVALENT["Cell", f"{_name}: int = -1", f"{_name}: int = {_number}"] = NOT_READ


class Mutant(NamedTuple):
    module: str
    line: int
    function: str  # or class, or the module itself
    before: str
    after: str
    tree: ast.Module


def variants(node: ast.AST) -> Iterator[ast.AST | None]:
    """What a node could be changed to; `None` for a statement that is left out."""
    if isinstance(node, ast.Compare):
        texts = any(isinstance(c, ast.Constant) and isinstance(c.value, str) for c in node.comparators)
        for operator in COMPARED.get(type(node.ops[0]), [])[: 1 if texts else None]:
            yield ast.Compare(node.left, [operator()], node.comparators)
        yield ast.Constant(True)
        yield ast.Constant(False)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield from node.values
    elif isinstance(node, ast.BinOp):
        for calculated in CALCULATED.get(type(node.op), []):
            yield ast.BinOp(node.left, calculated(), node.right)
        yield node.left
        yield node.right
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node.value)
    elif isinstance(node, ast.Attribute):
        for name in RENAMED.get(node.attr, []):
            yield ast.Attribute(node.value, name, node.ctx)
    elif isinstance(node, ast.Name):
        for name in RENAMED.get(node.id, []):
            yield ast.Name(name, node.ctx)
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.If):
        for value in (True, False):
            yield ast.If(ast.Constant(value), node.body, node.orelse)
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.If):
        yield None


def _other_constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value + 1.0)


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    for i in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, [*node.keywords[:i], *node.keywords[i + 1 :]])
    if isinstance(node.func, ast.Attribute):
        yield node.func.value  # `x.clone()` becomes `x`
    if len(node.args) == 1:
        yield node.args[0]  # `tables.clamp(x)` becomes `x`
    if ast.unparse(node.func) not in ("max", "min"):
        for i in range(len(node.args) - 1):
            yield ast.Call(
                node.func, [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]], node.keywords
            )


Path_ = tuple[tuple[str, int | None], ...]
"""The way to a node of a tree: names of fields, with indices where a field is a list."""


def mutants(name: str) -> Iterator[Mutant]:
    """Every change of a module, one at a time; annotations, docstrings and assertions are left."""
    tree = ast.parse(Path(str(sys.modules[name].__file__)).read_text())
    for path in _paths(tree):
        node = _at(tree, path)
        for variant in variants(node):
            changed = copy.deepcopy(tree)
            new = ast.Pass() if variant is None else copy.deepcopy(variant)
            _put(changed, path, ast.copy_location(new, node))
            ast.fix_missing_locations(changed)
            shown = _shown(tree, path)
            before, after = (ast.unparse(_at(t, shown)).split("\n")[0] for t in (tree, changed))
            function = getattr(tree.body[path[0][1] or 0], "name", "module")
            yield Mutant(name, node.lineno, function, before, after, changed)


def _shown(tree: ast.Module, path: Path_) -> Path_:
    """The way to the expression that shows a change best: a number alone says little."""
    while isinstance(_at(tree, path), ast.Constant | ast.UnaryOp | ast.Name) and path[-1][0] != "body":
        path = path[:-1]
    return path


def _paths(node: ast.AST, path: Path_ = ()) -> Iterator[Path_]:
    """The ways to all nodes that may be changed."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_fixed(child):
                continue
            below = (*path, (name, i))
            if hasattr(child, "lineno"):
                yield below
            yield from _paths(child, below)


def _is_fixed(node: ast.AST) -> bool:
    """Docstrings, assertions, imports, and what a type checker alone reads."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) in ("Rule", "Draw", "Move")
    return isinstance(node, ast.Assert | ast.Import | ast.ImportFrom)


def _at(tree: ast.AST, path: Path_) -> ast.AST:
    for name, i in path:
        value = getattr(tree, name)
        tree = value if i is None else value[i]
    return tree


def _put(tree: ast.AST, path: Path_, new: ast.AST) -> None:
    parent = _at(tree, path[:-1])
    name, i = path[-1]
    if i is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[i] = new


def replace_module(mutant: Mutant) -> None:
    """Puts a mutant's names where those of its module are, also where others have imported them."""
    names = vars(sys.modules[mutant.module])
    before = dict(names)
    exec(compile(mutant.tree, mutant.module, "exec"), names)
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").split(".")[0] in ("s1_hf", "tests", "placed_rows"):
            for name, value in list(vars(module).items()):
                if name in before and name[:2] != "__" and value is before[name]:
                    vars(module)[name] = names[name]
    if mutant.module.endswith("tables"):  # those that were built without the change
        placed_rows.automaton_of.cache_clear()
        placed_rows.tables_of.cache_clear()


class Mutation:
    """A plugin for pytest: instead of running the tests once, it runs them on every mutant, each in a fork."""

    def __init__(self, only: int | None, workers: int) -> None:
        self.only, self.workers = only, workers
        self.failed = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        failing = self.first_failure(session)  # also fills the caches that all forks share
        if failing:
            print(f"{failing} fails without any change.")
            self.failed = True
            return True
        begun = time.perf_counter()
        found = []
        for name in MODULES:
            found += [m for m in mutants(f"s1_hf.forcing.{name}") if self.only in (None, m.line)]
        survived = equivalent = 0
        for mutant in self.survivors(found, session):
            if mutant[2:5] in EQUIVALENT:
                equivalent += 1
                continue
            survived += 1
            print(f"{mutant.module}:{mutant.line} ({mutant.function}): {mutant.before}  ->  {mutant.after}", flush=True)
        killed = len(found) - equivalent - survived
        seconds = time.perf_counter() - begun
        print(f"{len(found)} mutants: {killed} killed, {equivalent} equivalent, {survived} survived ({seconds:.0f} s)")
        self.failed = survived > 0
        return True

    def first_failure(self, session: pytest.Session) -> str:
        """The name of the first test that fails, or nothing."""
        for item in session.items:
            if any(report.failed for report in runtestprotocol(item, log=False)):
                return item.nodeid
        return ""

    def survivors(self, found: list[Mutant], session: pytest.Session) -> Iterator[Mutant]:
        """The mutants with which all tests pass."""
        running: dict[int, Mutant] = {}
        waiting = list(found)
        while waiting or running:
            while waiting and len(running) < self.workers:
                mutant = waiting.pop(0)
                running[self.start(mutant, session)] = mutant
            child, status = os.wait()
            mutant = running.pop(child)
            if status == 0:
                yield mutant

    def start(self, mutant: Mutant, session: pytest.Session) -> int:
        """Runs the tests on a mutant in a child of this process, whose id is returned."""
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        signal.alarm(SECONDS)
        status = 1
        with contextlib.suppress(BaseException):
            replace_module(mutant)
            status = int(bool(self.first_failure(session)))
        os._exit(status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, help="mutate this line only")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes at a time")
    arguments = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # none is needed
    mutation = Mutation(arguments.only, arguments.workers)
    files = [str(Path(__file__).parent / "forcing" / f"test_{name}.py") for name in MODULES]
    code = pytest.main([*files, "-qqq", "-s", "--no-header", "--no-summary", "-p", "no:cacheprovider"], [mutation])
    return int(code) or int(mutation.failed)


if __name__ == "__main__":
    sys.exit(main())
