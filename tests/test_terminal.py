"""Tables in narrow terminals lose nothing, and split neither numbers nor words."""

import re

import pytest
from rich.console import Console
from rich.text import Text

from myrnn.cli import main
from myrnn.results import Table
from myrnn.terminal import WholeTable
from run_folders import data_run, task_run, without_pictures

LONG = "a-run-with-a-long-name_20261126-155308"
OTHER = "another-run-whose-name-is-as-long"


def printed(table, width):
    console = Console(width=width, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as shown:
        console.print(table)
    return [line.rstrip() for line in shown.get().splitlines()]


# --- how a table is laid out


def bare_table(title):
    return WholeTable(title=title, title_style="bold")


def new_table(title, first, *others):
    table = bare_table(title)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def many_columns():
    table = bare_table("Runs, all of them")
    for name in ("run", "task"):
        table.add_column(name)
    for name in ("iterations", "loss", "accuracy", "last tested"):
        table.add_column(name, justify="right")
    table.add_row(LONG, "twin-halves 2-20", "100,000", "0.3261", "86.2%", "84.7%")
    return table


def test_rows_that_fit_have_one_line():
    title, names, _, row = printed(many_columns(), 120)
    assert title == "Runs, all of them"
    assert re.split("  +", names) == ["run", "task", "iterations", "loss", "accuracy", "last tested"]
    assert re.split("  +", row) == [LONG, "twin-halves 2-20", "100,000", "0.3261", "86.2%", "84.7%"]


def test_names_wrap_at_punctuation_before_columns_move():
    lines = printed(many_columns(), 80)
    assert max(map(len, lines)) <= 80
    assert [line[:24].strip() for line in lines[-2:]] == ["a-run-with-a-long-name_", "20261126-155308"]
    assert lines[-2].split()[-4:] == ["100,000", "0.3261", "86.2%", "84.7%"]


def test_columns_that_do_not_fit_move_to_further_lines():
    lines = printed(many_columns(), 42)
    assert max(map(len, lines)) <= 42
    rule = next(place for place, line in enumerate(lines) if line.startswith("─"))
    assert [" ".join(line.split()) for line in lines[1:rule]] == [
        "run task",
        "iterations loss",
        "accuracy last",
        "tested",
    ]
    assert [" ".join(line[17:].split()) for line in lines[rule + 1 : rule + 4]] == [
        "twin-halves 2-20",
        "100,000 0.3261",
        "86.2% 84.7%",
    ]


def test_intervals_are_not_split_and_move_below_their_numbers_together():
    table = new_table("Accuracy", "length", "accuracy", "difference")
    table.add_row("2", "100 (99.9-100)", "-12.0 (-29.7 to +9.7)")
    table.add_row("beyond", "5.0 (4.0-6.0)", "+0.1 (-0.1 to +0.3)")
    first, second, third, fourth = (re.split("  +|(?<=[)]) ", line) for line in printed(table, 36)[-4:])
    assert [part.strip() for part in first if part] == ["2", "100", "-12.0"]
    assert [part.strip() for part in second if part] == ["(99.9-100)", "(-29.7 to +9.7)"]
    assert [part.strip() for part in third if part] == ["beyond", "5.0", "+0.1"]
    assert [part.strip() for part in fourth if part] == ["(4.0-6.0)", "(-0.1 to +0.3)"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("twin-halves 2-20", ["twin-halves", "2-20"]),
        ("palindromes-both-parities", ["palindromes-", "both-parities"]),
        ("learning_rate=0.00125", ["learning_", "rate=0.00125"]),
        ("recurrent_init=1e-3", ["recurrent_", "init=1e-3"]),
        ("|dL/dx| of everything", ["|dL/dx| of", "everything"]),
        ("[red] of brackets", ["[red] of", "brackets"]),
    ],
)
def test_where_a_name_wraps(name, parts):
    table = new_table("", "name", "number")
    table.add_row(name, "1")
    assert [line.removesuffix("1").strip() for line in printed(table, 20)[2:]] == parts


def test_a_name_without_punctuation_is_wrapped_at_the_limit():
    table = new_table("", "name", "number", "another number")
    table.add_row("x" * 50, "1,234", "5,678")
    lines = printed(table, 30)
    assert "".join(line[:15].strip() for line in lines if "x" in line) == "x" * 50
    assert "1,234" in " ".join(lines)


def test_aligned_lines_stay_aligned():
    table = bare_table("")
    table.add_column("of", no_wrap=True)
    table.add_row(Text("12345678\n12355678\n   ^"))
    assert printed(table, 5)[2:] == ["12345", "12355", "   ^", "678", "678"]


# --- the tables of all commands


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with runs of long names, and a study."""
    folder = tmp_path_factory.mktemp("made")
    for kind in ("runs", "data"):
        (folder / kind).mkdir()
    task_run(folder / "runs" / LONG)
    task_run(folder / "runs" / OTHER, seed=1, iterations=20)
    data_run(folder / "data" / LONG)
    without_pictures(folder / "data" / LONG, folder / "data" / f"{LONG}-2")
    (folder / "study.toml").write_text(
        'name = "rates of a simple network"\ntask.pattern_length_max = 2\nevaluation.samples = 20\n'
        "training = { iterations = 5, engine = 'mygrad' }\nmodel.dim_recurrent = 2\n"
        "[[variants]]\nname = 'a simple network with a long name'\noptimizer.learning_rate = [0.001, 0.00025]\n"
    )
    return folder


COMMANDS = {
    "runs": ["runs", "runs"],
    "compare": ["runs", "compare", f"runs/{LONG}", f"runs/{OTHER}"],
    "compare data": ["runs", "compare", f"data/{LONG}", f"data/{LONG}-2"],
    "tasks": ["tasks"],
    "task": ["tasks", "dyck"],
    "evaluate": ["evaluate", f"runs/{LONG}", "--samples=40", "--engine=mygrad", "--shortcuts", "--counterexamples=2"],
    "predict": ["predict", f"runs/{LONG}", "2020", "4123412341234123412341234123412341234123412341234123"],
    "plot": ["plot", f"runs/{LONG}", f"runs/{OTHER}", "--out=OUT/plot.svg"],
    "train": [
        "train",
        "--data=data/data.csv",
        "--test=data/data.csv",
        "--max-epochs=1",
        "--engine=mygrad",
        "--out=OUT/run",
    ],
    "sweep": ["sweep", "study.toml", "--jobs=1", "--out=OUT/sweep"],
}


def check_whole(wide, narrow, columns):
    """Check that a narrow table has the words and numbers of a wide one; names may be split."""
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= columns
    words = [word for word in wide.split() if "─" not in word]
    for word in set(words):
        if narrow.split().count(word) < words.count(word):
            assert re.search(r"\w[-_/.=]\w|^\d{40,}$", word), f"{word} is lost"
            assert all(part in narrow for part in re.split(r"(?<=[-_/.=])", word) if len(part) < 20)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_table_of_a_command_loses_content(name, made, tmp_path, monkeypatch, capsys):
    tables, show = [], Console.print

    def recorded(console, *objects, **settings):
        tables.extend(found for found in objects if isinstance(found, Table))
        show(console, *objects, **settings)

    monkeypatch.setattr(Console, "print", recorded)
    monkeypatch.chdir(made)
    for variable, value in {"TTY_COMPATIBLE": "1", "NO_COLOR": "1", "COLUMNS": "60"}.items():
        monkeypatch.setenv(variable, value)
    assert main([part.replace("OUT", str(tmp_path)) for part in COMMANDS[name]]) == 0
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).replace(str(tmp_path), "OUT").splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 60
    assert tables
    for table in tuple(tables):
        for columns in (80, 60):
            check_whole(table.to_text(500), table.to_text(columns), columns)
