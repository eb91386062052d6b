"""Run the cells of a notebook as Jupyter does."""

import ast


def run(cell, names):
    """Run a cell and return the value of its last line."""
    *body, last = ast.parse(cell.source).body
    if not isinstance(last, ast.Expr):
        body, last = [*body, last], None
    exec(compile(ast.Module(body, []), f"<cell of line {cell.line}>", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "<last line>", "eval"), names)
