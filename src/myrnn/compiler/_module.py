"""The whole emitted module: a header that says what it computes, and the program.

There are two kinds of program, for one sequence at a time and for batches; `runtime.training` calls them. Words in
capitals are placeholders.
"""

from __future__ import annotations

import ast

from myrnn.compiler.emit import Program
from myrnn.compiler.runtime import OF_PROGRAMS

_SINGLE = '''
def run(
    VALUES, begin: int, steps: int, label: int, weight: np.float32, learn: bool,
    p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
) -> tuple[float, int]:
    """Run one sequence; with `learn`, leave the gradients of all parameters in `g`.

    `myrnn.compiler.runtime.training` calls this in every iteration. Return the loss, which counts `weight` times, and 1
    where the largest logit is the right one.
    """
BODY'''

_BATCH = '''
def run(
    VALUES, offsets: Integers, labels: Integers, class_weights: Floats, members: Integers, share: np.float32,
    learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers, lined: Tokens,
) -> tuple[float, int]:
    """Run the sequences `members`, the longest first; with `learn`, leave the gradients of all parameters in `g`.

    `myrnn.compiler.runtime.training` calls this in every iteration. Return the sum of the losses, each weighted by its
    class, and how many are right. Each counts for `share` in the gradients.
    """
    sequences = len(members)
    steps = line_up(start, offsets, members)
    total = start[steps]
TOKENS
BODY'''


def module_source(program: Program, header: str, tokens: bool, batched: bool, reverse: bool) -> str:
    """Return the text of the module."""
    text = _BATCH if batched else _SINGLE
    lines = ""
    if batched and tokens:
        lines = f"    line_up_tokens(lined, tokens, offsets, members, start, steps, {reverse})\n    tokens = lined\n"
    text = text.replace("TOKENS\n", lines).replace("VALUES", "tokens: Tokens" if tokens else "features: Floats")
    text = text.replace("BODY", program.body)
    return f'"""{header}\n"""\n\n{_imports(text)}\n\n{text}'


def _imports(text: str) -> str:
    """Return the lines that import what the text calls, and nothing else."""
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    lines = ["import numpy as np"] if "np" in used else []
    lines.append("")
    for module, names in OF_PROGRAMS.items():
        chosen = [name for name in names if name in used]
        if chosen:
            lines.append(f"from myrnn.compiler.runtime.{module} import {', '.join(chosen)}")
    return "\n".join(lines)
