"""Which cells of a notebook its panels of controls need, found by reading the code and running nothing.

    python -m tools.panel_cells           list them for all notebooks
    python -m tools.panel_cells 04 05     only for those whose names begin so

The notebooks step runs every cell and compares what it prints. The browser asks something else, whether the
panels answer, so it runs the cells that show panels and those that they depend on, by this rule. Cells are
followed backwards from the last. A cell is needed if it

- reads a name that comes from `course_utils.widgets` or `ipywidgets`: it shows a panel; or
- binds a name that a needed cell below it reads, unless a cell between them surely binds it anew; or
- changes what such a name stands for: it assigns to an element or an attribute, or holds a statement that is
  nothing but a call, as `model.eval()` or `train(model)`, and so is there for its effect. What was imported
  is not changed (`torch.manual_seed(0)`), calls that only show (`print`, `show.`, `plots.`) change
  nothing, and `finetune` changes the model alone, not the task and the examples that it is given too.

What a function's body reads is looked up when it is called, so it counts for the whole notebook. Where the
rule takes too few cells, a name is missing and the page shows the error.
"""

import argparse
import ast
import builtins
import symtable
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from course_utils import commands
from tools.notebooks import chosen

PANELS = ("course_utils.widgets", "ipywidgets")
ONLY_SHOW = {"print", "show", "plots"}
FIRST_ALONE = {"finetune"}  # functions that change their first argument
AT_ONCE = {"listcomp", "setcomp", "dictcomp", "genexpr"}  # functions to Python, but called where they stand
SURE = (ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Cell:
    """What a cell does to the notebook's names."""

    binds: set[str]
    surely: set[str]  # of these, the names that hold something new whatever happens
    changes: set[str]
    mentions: set[str]
    reads: set[str]  # of these, what must have been bound before
    reads_later: set[str]  # what the body of a function reads when it is called
    imports: set[str]
    panels: set[str]  # of these, what makes panels and controls


class OwnNames(ast.NodeTransformer):
    """Marks the names that a comprehension binds for itself, since Python 3.12 lists them with the others."""

    MARK = "_of_a_comprehension_"

    def comprehension(self, node: ast.expr) -> ast.expr:
        self.generic_visit(node)  # those inside first
        outside = {id(part) for part in ast.walk(node.generators[0].iter)}
        targets = [part for each in node.generators for part in ast.walk(each.target)]
        own = {part.id for part in targets if isinstance(part, ast.Name)}
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in own and id(part) not in outside:
                part.id = self.MARK + part.id
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = comprehension


def names_of(tree: ast.AST) -> tuple[set[str], set[str], set[str]]:
    """The notebook's names that a piece of code binds, reads, and reads in the body of a function."""
    binds, reads, later = set(), set(), set()

    def follow(table: symtable.SymbolTable, inside: bool) -> None:
        for symbol in table.get_symbols():
            if table.get_type() != "module" and not symbol.is_global():
                continue
            if symbol.get_name().startswith(OwnNames.MARK):
                continue
            if symbol.is_assigned() or symbol.is_imported():
                binds.add(symbol.get_name())
            if symbol.is_referenced():
                (later if inside else reads).add(symbol.get_name())
        for child in table.get_children():
            follow(child, inside or (child.get_type() == "function" and child.get_name() not in AT_ONCE))

    marked = OwnNames().visit(ast.parse(ast.unparse(tree)))
    follow(symtable.symtable(ast.unparse(marked), "cell", "exec"), False)
    return binds, reads, later


def imported(tree: ast.AST, start: str | tuple[str, ...] = "") -> set[str]:
    """The names that a piece of code imports, or those of them whose full names begin so."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            before = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                if f"{before}{alias.name}".startswith(start):
                    found.add((alias.asname or alias.name).split(".")[0])
    return found


def flow(statements: list[ast.stmt]) -> tuple[set[str], set[str]]:
    """The names that statements read before they bind them, and those that they bind whatever happens."""
    before, bound = set(), set()
    for statement in statements:
        reads, surely = flow_of(statement)
        before |= reads - bound
        bound |= surely
    return before, bound


def flow_of(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The same for one statement."""
    match statement:
        case ast.For() | ast.With():
            head = type(statement)(**vars(statement) | {"body": [ast.Pass()], "orelse": []})
            binds, reads, _ = names_of(head)
            before, bound = flow(statement.body)
            before |= flow(getattr(statement, "orelse", []))[0]
            return reads | (before - binds), binds | bound if isinstance(statement, ast.With) else set()
        case ast.If() | ast.While():
            (before, one), (instead, two) = flow(statement.body), flow(statement.orelse)
            surely = one & two if isinstance(statement, ast.If) else set()
            return names_of(statement.test)[1] | before | instead, surely
    binds, reads, _ = names_of(statement)
    return reads, binds if isinstance(statement, SURE) else set()


def changed(tree: ast.AST) -> set[str]:
    """The names of objects that a piece of code changes, or calls for their effect."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            found.add(root(node))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            if root(call.func) not in ONLY_SHOW:
                arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
                name = getattr(call.func, "attr", getattr(call.func, "id", None))
                found |= {root(call.func), *map(root, arguments[: 1 if name in FIRST_ALONE else None])}
    return found - {None, *dir(builtins)}


def root(node: ast.AST) -> str | None:
    """The name at the left end of `a.b[c](d).e`; None if something else stands there."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def read(source: str) -> Cell:
    """What a cell does; lines for IPython alone (`%`, `!`) are left out."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    tree = ast.parse("\n".join(lines))
    binds, mentions, later = names_of(tree)
    before, surely = flow(tree.body)
    changes = changed(tree) & (mentions | later)
    return Cell(
        binds, surely, changes, mentions, before, later - surely, imported(tree), imported(tree, PANELS)
    )


def needed(notebook: NotebookNode, names: frozenset[str] = frozenset()) -> list[int]:
    """The places of the cells that show panels or that panels depend on, in order; with `names`, of those
    that these depend on.
    """
    cells = {i: read(cell.source) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"}
    panels = set().union(*(cell.panels for cell in cells.values() if not names))
    imports = set().union(*(cell.imports for cell in cells.values()))
    always: set[str] = set()
    while True:
        found, wanted, later = [], always | names, set()
        for i, cell in sorted(cells.items(), reverse=True):
            touches = (cell.binds | cell.changes - imports) & wanted
            if cell.mentions & panels or ((found or names) and touches):
                found.append(i)
                wanted = wanted - cell.surely | cell.reads
                later |= cell.reads_later
        if later <= always:
            return found[::-1]
        always |= later


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="beginnings of notebook names, as 02")
    for path in chosen(parser.parse_args().names):
        notebook = nbformat.read(path, as_version=4)
        code = sum(cell.cell_type == "code" for cell in notebook.cells)
        places = needed(notebook)
        print(f"{path.stem:28} {len(places):3} of {code:3} cells: {', '.join(map(str, places))}")


if __name__ == "__main__":
    commands.run(main)
