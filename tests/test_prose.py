"""Text that people read has none of the phrases that are not plain English.

``python tests/test_prose.py`` lists them, as `make lint` does; name folders or files to search only those. The tests
are of the search itself.
"""

import ast
import io
import re
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Folders and files that must have none.
ENFORCED = (
    "src/myrnn",
    "docs",
    "examples",
    "tests",
    "benchmarks",
    "fuzz",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)
ENDINGS = (".py", ".js", ".html", ".md")

# What not to write (a regular expression), and what to write instead.
PHRASES = {
    r"in the place of": "instead of",
    r"one'?s own": "your own, user-defined",
    r"of somebody's own": "your, user-defined",
    r"(?:is|are|was|were|been) told": "receives, is described",
    r"what came (?:of|out of)": "the result",
    r"as (?:it is|it was|they are|they were) written": "unchanged",
    r"(?:what|that|which|who) stands? (?:in|at|there|here|beside|behind|before)": "is in, comes after",
    r"stands? (?:twice|there|here)": "is repeated, is there",
    r"(?:goes|went) on (?:with|from|where)": "continues, resumes",
    r"go on (?:with|from):": "resume with:",
    r"(?:hands|handed|handing) on": "passes on",
    r"(?:hold|holds|held|holding) (?:\w+ ){0,3}against": "compare with",
    r"(?:looks|looked) (?:at|into) what": "inspects",
    r"but for (?:its|their|some|rounding|what)": "except",
    r"mak(?:es|ing) (?:\w+ )?smaller": "minimise",
    r"brought to mean": "scaled to mean",
    r"(?<!there\s)(?:is|are) no (?:class|function|integer|list|member|model|name|number|object|tensor)": "is not a",
    r"(?:sequence|symbol|string|label|row|column|dot|run|step|one) a (?:line|core|step|row|run)": "one per line",
    r"classified rightly|rightly classified": "classified correctly",
    r"in the mean": "on average",
    r"(?:is|are|was|were) wanted": "is expected, is required",
    r"none of (?:its|their|the|this \w+) own": "not one of",
    r"by what (?:it|they) (?:is|are)": "by its",
    r"as (?:large|small|far|long|near) as can be": "as far as possible",
    r"(?:so many) (?:iterations|steps|seconds|symbols|sequences|tokens) (?:at|in) (?:a|one) (?:time|call)": "this many",
    r"whoever": "anybody who, users who",
    r"grow(?:s|ing)? beyond all bounds on": "overflow",
    r"what (?:it|they|he|she) (?:says|say) (?:of|about) (?:it|them)": "the description",
    r"nobody's business": "does not matter, is not shown",
    r"as (?:it|they) stands?": "unchanged",
    r"(?:is|are) to be (?:told|said|shown|had)": "should be shown, exists",
    r"by heart": "memorised",
    r"what (?:is|are) no (?!longer)": "invalid, is not a",
}
# A phrase may be broken by the end of a line.
WORDS = re.compile(
    "|".join(rf"(?P<p{i}>\b(?:{phrase})\b)" for i, phrase in enumerate(PHRASES)).replace(" ", r"\s+"), re.IGNORECASE
)
COMMENT = re.compile(r"^[ \t]*(?://|\*|#+:?)", re.MULTILINE)


def texts_of(path):
    """Yield ``(line, text)`` for docstrings, comments, other strings and names of tests; for all of another file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield 1, source
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line = token.start[0]
            if comments and comments[-1][0] + comments[-1][1].count("\n") + 1 == line:
                comments[-1] = (comments[-1][0], f"{comments[-1][1]}\n{token.string.lstrip('#:')}")
            else:
                comments.append((line, token.string.lstrip("#:")))
    yield from comments


def found_in(text):
    """Return ``(line, what is written, what to write instead)`` of a text, its lines counted from 0."""
    text = COMMENT.sub(lambda sign: " " * len(sign[0]), text)
    instead = list(PHRASES.values())
    return [
        (text.count("\n", 0, match.start()), " ".join(match[0].split()), instead[int(match.lastgroup[1:])])
        for match in WORDS.finditer(text)
    ]


def problems(root):
    """Yield a line for each phrase below a folder, or in a file."""
    # This file has them all in its table.
    found = (p for p in root.rglob("*") if p.suffix in ENDINGS and p != Path(__file__).resolve())
    for path in [root] if root.is_file() else sorted(found):
        for line, text in texts_of(path):
            for offset, phrase, instead in found_in(text):
                where = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
                yield f"{where}:{line + offset}: {phrase!r}; write {instead!r}"


@pytest.mark.parametrize(
    ("text", "line", "phrase"),
    [
        ("It takes 1 in the place of 0.", 0, "in the place of"),
        ("It takes 1 in the\nplace of 0.", 0, "in the place of"),
        ("A model\nof one's own.", 1, "one's own"),
        ("The hook is told of it.", 0, "is told"),
        ("It goes on from there.", 0, "goes on from"),
        ("All but for rounding.", 0, "but for rounding"),
        ("x is no tensor.", 0, "is no tensor"),
        ("One label a line.", 0, "label a line"),
    ],
)
def test_a_phrase_is_found_with_its_line(text, line, phrase):
    assert [found[:2] for found in found_in(text)] == [(line, phrase)]


def test_docstrings_comments_strings_and_test_names_of_a_module_are_read(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        '"""In the place of."""\n\nx = f"{1} is told"  # one\'s own\n# of\n# somebody\'s own\nplace_of = 1\n'
        "def test_the_user_is_told(): ...\n",
        encoding="utf-8",
    )
    lines = [problem.removeprefix(str(module)).split(";")[0] for problem in problems(tmp_path)]
    expected = ["7: 'is told'", "1: 'In the place of'", "3: 'is told'", '3: "one\'s own"', '4: "of somebody\'s own"']
    assert lines == [f":{line}" for line in expected]


if __name__ == "__main__":
    all_problems = [line for name in sys.argv[1:] or ENFORCED for line in problems(ROOT / name)]
    sys.exit("\n".join(all_problems) or None)
