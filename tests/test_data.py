import csv
import gzip
import io
import json
import re
import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from myrnn.data import TokenSequences, flat_sequences, read_sequences
from myrnn.data import symbols as symbols_module
from myrnn.data.read import read_examples
from myrnn.errors import DataError, InvalidArgument, MyRNNError


@pytest.fixture
def put(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def parquet(tmp_path):
    """Return a function that writes columns as Parquet and returns the path."""

    def write(**columns):
        path = tmp_path / "data.parquet"
        pl.DataFrame(columns).write_parquet(path)
        return path

    return write


def rows(data):
    """Return sequences and labels as plain pairs."""
    sequences = [list(x) if data.is_tokens else x.tolist() for x in data.sequences]
    return list(zip(sequences, data.labels.tolist(), strict=True))


# --- CSV and TSV


def test_csv(put):
    data = read_sequences(put("a.csv", "id,sequence,label\n7,good  film,pos\n8,,neg\n\n9, bad ,neg\n"))
    assert rows(data) == [(["good", "film"], "pos"), ([], "neg"), (["bad"], "neg")]
    assert data.lines.tolist() == [2, 3, 5]
    assert (data.skipped, data.source.name, len(data)) == (0, "a.csv", 3)
    assert data.symbols == ("bad", "film", "good")
    assert data.classes == {"neg": 2, "pos": 1}
    assert data.lengths.tolist() == [2, 0, 1]
    assert repr(data) == "LabelledSequences(3 of 3 words, lengths 0 to 2, 2 classes)"


def test_csv_of_characters(put):
    data = read_sequences(put("a.csv", "sequence,label\nab a\U0001f600,x\n,y\n"), tokenize="characters")
    assert rows(data) == [(["a", "b", " ", "a", "\U0001f600"], "x"), ([], "y")]


@pytest.mark.parametrize(
    ("texts", "options", "how", "symbols"),
    [
        (["good film", "bad"], {}, "words", {"good", "film", "bad"}),
        (["good\u00a0film"], {}, "words", {"good", "film"}),
        (["aab", " ba ", ""], {}, "characters", {"a", "b", " "}),
        (["", ""], {}, "characters", set()),
        (["good film"], {"tokenize": "characters"}, "characters", set("good film")),
        (["ab", "ba"], {"tokenize": "words"}, "words", {"ab", "ba"}),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "txt"])
def test_text_with_spaces_is_words_and_other_text_characters(put, tmp_path, texts, options, how, symbols, ending):
    path = tmp_path / f"data.{ending}"
    if ending == "csv":
        put(path.name, "sequence\n" + "\n".join(f'"{text}"' for text in texts))
    elif ending == "txt":
        put(path.name, "".join(f"{text}\n" for text in texts))
    else:
        frame = pl.DataFrame({"sequence": texts})
        (frame.write_ndjson if ending == "jsonl" else frame.write_parquet)(path)
    data = read_sequences(path, labelled=False, **options)
    assert (data.tokenize, data.sequences.tokenize, set(data.symbols)) == (how, how, symbols)
    # In Python the same rule applies.
    raw = flat_sequences(texts, **options)
    assert (raw.kind, set(raw.symbols), raw.offsets.tolist()) == (how, symbols, data.sequences.offsets.tolist())


@pytest.mark.parametrize(
    ("spaced", "others", "how"),
    [
        (["New York"], ["word"] * 30, "characters"),
        (["a b"] * 2, ["word"] * 3, "characters"),
        (["a b"] * 3, ["word"] * 3, "words"),
        (["a b"], ["", "c", " d "] * 9, "words"),
        (["a b"] * 30, ["word"], "words"),
    ],
)
def test_most_texts_decide_how_they_are_split(put, spaced, others, how):
    texts = [*others, *spaced]
    path = put("a.csv", "sequence\n" + "".join(f'"{text}"\n' for text in texts))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read_sequences(path, labelled=False).tokenize == flat_sequences(texts).tokenize == how
    longer = len(spaced) + sum(len(text.strip()) > 1 for text in others)
    message = f"is read as characters, because only {len(spaced)} of {longer} texts have spaces: "
    message += "tokenize='words' makes every word a symbol"
    expected = [f"{path} {message}", f"X {message}"] if how == "characters" else []
    assert [str(warning.message) for warning in caught] == expected
    assert {warning.filename for warning in caught} <= {__file__}
    assert read_sequences(path, labelled=False, tokenize="characters").tokenize == "characters"


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", 'id;text;class\n1;"a; b";x\n2;c;y\n', {"delimiter": ";"}),
        ("a.csv", 'id\ttext\tclass\n1\t"a; b"\tx\n2\tc\ty\n', {"delimiter": "\t"}),
        ("a.csv", "text|class\na; b|x\nc|y\n", {"delimiter": "|"}),
        ("a.csv", "text^class\na; b^x\nc^y\n", {"delimiter": "^"}),
        ("a.csv", 'text class\n"a; b" x\nc y\n', {"delimiter": " "}),
        ("a.csv", 'text]class\n"a; b"]x\nc]y\n', {"delimiter": "]"}),
        ("a.csv", 'text\u00a7class\n"a; b"\u00a7x\nc\u00a7y\n', {"delimiter": "\u00a7"}),
        ("a.tsv", "text,class\na; b,x\nc,y\n", {"delimiter": ","}),
        ("a.csv", "text,class,sequence,label\na; b,x,1,2\nc,y,1,2\n", {}),
        ("a.jsonl", '{"text": "a; b", "class": "x"}\n{"text": "c", "class": "y"}\n', {}),
        ("a.jsonl", '{"text": "a; b", "class": 1}\n{"text": "c"}\n{"text": "c", "class": 2}', {"skip_bad_lines": True}),
    ],
)
def test_columns_and_the_delimiter_can_be_chosen(put, name, content, options):
    data = read_sequences(put(name, content), text_column="text", label_column="class", **options)
    assert [words for words, _ in rows(data)] == [["a;", "b"], ["c"]]
    assert list(data.classes.values()) == [1, 1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "a.csv",
            {"delimiter": ";;"},
            "delimiter must be one character, such as ';', and no quote or line end, not ';;'",
        ),
        (
            "a.csv",
            {"delimiter": '"'},
            "delimiter must be one character, such as ';', and no quote or line end, not '\"'",
        ),
        ("a.jsonl", {"delimiter": ";"}, "delimiter is for .csv and .tsv and .tab files, not for a.jsonl"),
        ("a.csv", {"text_column": ""}, "text_column must be the name of a column, not ''"),
        ("a.csv", {"label_column": 3}, "label_column must be the name of a column, not 3"),
        (
            "a.csv",
            {"tokenize": "word"},
            "tokenize must be one of 'auto', 'words', 'characters', not 'word'; did you mean 'words'?",
        ),
    ],
)
def test_wrong_columns_and_delimiters_are_refused(name, options, message):
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$"):
        read_sequences(name, **options)


def test_quoted_fields_can_contain_commas_line_ends_and_quotes(put):
    content = 'sequence,label\n"a, ""b""\nc",x\nd,"y"\n"",z\n"e\n\nf",x'
    data = read_sequences(put("a.csv", content))
    assert rows(data) == [(["a,", '"b"', "c"], "x"), (["d"], "y"), ([], "z"), (["e", "f"], "x")]
    assert data.lines.tolist() == [2, 4, 5, 6]


def test_a_long_field_in_quotes(put):
    limit = csv.field_size_limit()
    data = read_sequences(put("a.csv", f'sequence,label\n"{"a" * (limit + 1)}",x\n'), tokenize="characters")
    assert (data.lengths.tolist(), csv.field_size_limit()) == ([limit + 1], limit)


def test_an_error_leaves_the_limit_of_fields_as_it_was(put):
    limit = csv.field_size_limit()
    with pytest.raises(DataError) as caught:
        read_sequences(put("a.csv", "sequence,label\na,b,c\n"))
    assert (csv.field_size_limit(), "line 2" in str(caught.value)) == (limit, True)


def test_text_that_is_not_valid_unicode_has_characters_but_no_words():
    message = "X holds half of a surrogate pair, '\\ud83d', which is not text: remove it, or read characters with"
    for tokenize in ("auto", "words"):
        with pytest.raises(InvalidArgument, match=f"^{re.escape(message)} tokenize='characters'$"):
            flat_sequences(["a b", "c \ud83d"], tokenize=tokenize)
    assert flat_sequences(["a\ud83d"], tokenize="characters").symbols == ("a", "\ud83d")


def test_one_column_cannot_be_text_and_label(put):
    with pytest.raises(InvalidArgument, match=r"^text_column and label_column must differ, but both are 'label'$"):
        read_sequences(put("a.csv", "label\nx\n"), text_column="label")


def test_windows_line_ends_and_a_byte_order_mark(put):
    data = read_sequences(put("a.csv", b"\xef\xbb\xbfsequence,label\r\na b,x\r\n,y\r\n"))
    assert rows(data) == [(["a", "b"], "x"), ([], "y")]


def test_a_quote_within_a_field_is_an_ordinary_character(put):
    data = read_sequences(put("a.csv", 'sequence,label\n5" disk,y\n'))
    assert rows(data) == [(['5"', "disk"], "y")]


def test_quotes_mean_nothing_in_tsv(put):
    data = read_sequences(put("a.TSV", 'label\tsequence\nx\t5" disk, new\ny\t\n'))
    assert rows(data) == [(['5"', "disk,", "new"], "x"), ([], "y")]


COMPRESSIBLE = {
    ".csv": b"\xef\xbb\xbfsequence,label\r\na b,x\r\n,y\r\n",
    ".tsv": b"sequence\tlabel\na b\tx\n\ty\n",
    ".jsonl": b'{"sequence": "a b", "label": "x"}\n{"sequence": "", "label": "y"}\n',
    ".txt": b"a b\n\n",
}


@pytest.mark.parametrize("ending", COMPRESSIBLE)
def test_a_file_may_be_compressed(ending, put):
    labels = [put("l.txt.gz", gzip.compress(b"x\ny\n"))] if ending == ".txt" else []
    data = read_sequences(put(f"a{ending}.gz", gzip.compress(COMPRESSIBLE[ending])), *labels)
    assert rows(data) == [(["a", "b"], "x"), ([], "y")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"sequence,label\na,x\n", "{} is not a gzip file, or it is damaged: Not a gzipped file (b'se')"),
        (gzip.compress(b"sequence,label\na,x\n", mtime=0)[:-9], "{} is not a gzip file, or it is damaged: "),
        (
            gzip.compress(b"sequence,label\na,x\n", mtime=0)[:12] + b"\xff" * 20,
            "{} is not a gzip file, or it is damaged: ",
        ),
        (gzip.compress(b"", mtime=0), "{} is empty"),
        (b"", "{} is empty"),
        (
            gzip.compress(b"sequence,label\na\n", mtime=0),
            "{}, line 2: 1 field where the first line names 2 (sequence, label)",
        ),
    ],
)
def test_files_that_cannot_be_decompressed(content, message, put):
    path = put("a.csv.gz", content)
    with pytest.raises(DataError, match=f"^{re.escape(message.format(path))}[^\n]*$"):
        read_sequences(path)


def test_any_white_space_separates_words(put):
    data = read_sequences(put("a.csv", 'sequence,label\n"\ta\u00a0b\t c \r\nd",x\n'))
    assert rows(data) == [(["a", "b", "c", "d"], "x")]


# Python counts the last four of these as white space, Unicode does not.
ODD = "\0\r\x1c\x1d\x1e\x1f"
WORD = st.text(st.characters(codec="utf-8", exclude_characters=ODD + "\n"), max_size=5)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters=ODD), max_size=12)


@given(st.lists(st.tuples(TEXT, WORD)))
def test_csv_written_by_python_is_read(tmp_path_factory, pairs):
    pairs = [(text, label) for text, label in pairs if label.strip()]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([("sequence", "label"), *pairs])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(file.getvalue(), encoding="utf-8", newline="")
    if not pairs:
        with pytest.raises(DataError, match=r"a\.csv holds no sequence$"):
            read_sequences(path)
        return
    data = read_sequences(path, tokenize="characters")
    assert rows(data) == [(list(text), label.strip()) for text, label in pairs]


BAD_CSV = [
    ("a b", "1 field where the first line names 2 (sequence, label)"),
    ("a,b,c", "3 fields where the first line names 2 (sequence, label)"),
    ('"a b,c', 'a quote (") that does not close'),
    ('"a"b,c', "not CSV: ',' expected after '\"'"),
    ("a, ", "no label"),
]


@pytest.mark.parametrize(("line", "fault"), BAD_CSV)
def test_a_malformed_line_of_csv_is_named(line, fault, put):
    path = put("a.csv", f"sequence,label\na,x\n{line}\nb,y\n")
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}, line 3: {fault}')}$"):
        read_sequences(path)
    data = read_sequences(path, skip_bad_lines=True)
    assert rows(data) == [(["a"], "x"), (["b"], "y")]
    assert (data.skipped, data.lines.tolist()) == (1, [2, 4])


def test_malformed_lines_do_not_swallow_others(put):
    bad = "\n".join(line for line, _ in BAD_CSV)
    data = read_sequences(put("a.csv", f'sequence,label\n{bad}\n"c\nd",x\n{bad}\ne,y'), skip_bad_lines=True)
    assert rows(data) == [(["c", "d"], "x"), (["e"], "y")]
    assert (data.skipped, data.lines.tolist()) == (10, [7, 14])


def test_a_file_of_malformed_lines_only(put):
    path = put("a.csv", "sequence,label\na\nb\n")
    message = f"every line is malformed; {path}, line 2: 1 field where the first line names 2 (sequence, label)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_sequences(path, skip_bad_lines=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,target\na,b\n",
            "{} has no column 'sequence'; its columns are 'text', 'target': say which is the text column (text_column)",
        ),
        (
            "sequence,target\na,b\n",
            "{} has no column 'label'; its columns are 'sequence', 'target': say which is the label column "
            "(label_column)",
        ),
        ("sequence,label,label\na,b,c\n", "{} has more than one column 'label'"),
        ("\na,b\n", "{}, line 1: no names of columns: the first line must name them"),
        (
            'sequence,"label\na,b\n',
            '{}, line 1: a quote (") that does not close',
        ),
        ("sequence,label\n", "{} holds no sequence"),
        ("", "{} is empty"),
        (b"sequence,label\na,x\n\xff,y\n", "{}, line 3: the byte 0xff is not UTF-8: save the file as UTF-8 text"),
        ("sequence,label\n".encode("utf-16"), "{}, line 1: the byte 0xff is not UTF-8: save the file as UTF-8 text"),
        (b"sequence,label\na,x\n\0", "{}, line 3: a zero byte: this is not a file of UTF-8 text"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(content, message, put):
    path = put("a.csv", content)
    with pytest.raises(DataError, match=f"^{re.escape(message.format(path))}$"):
        read_sequences(path)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "txt"])
def test_a_byte_order_mark_alone_is_an_empty_file(ending, put):
    path = put(f"a.{ending}", b"\xef\xbb\xbf")
    with pytest.raises(DataError, match=f"^{re.escape(f'{path} is empty')}$"):
        read_sequences(path, labelled=False)


def test_many_columns_are_not_all_named(put):
    path = put("a.csv", ",".join(f"c{place}" for place in range(100)) + "\n")
    with pytest.raises(DataError, match=r"its columns are 'c0', .*'c11', \.\.\.: say which is the"):
        read_sequences(path)


def test_labels_are_optional(put):
    data = read_sequences(put("a.csv", "sequence\na\n\nb\n"), labelled=False)
    assert (data.labels, data.classes, data.lengths.tolist()) == (None, {}, [1, 0, 1])
    assert repr(data) == "LabelledSequences(3 of 2 characters, lengths 0 to 1)"
    assert read_sequences(put("b.csv", "sequence,label\na,\n"), labelled=False).labels is None


# --- plain text


def test_a_pair_of_text_files(put):
    data = read_sequences(put("s.txt", "a b\n\nc\n"), put("l.txt", "x\n y\r\nz"))
    assert rows(data) == [(["a", "b"], "x"), ([], "y"), (["c"], "z")]
    assert data.lines.tolist() == [1, 2, 3]


def test_text_without_labels(put):
    assert list(read_sequences(put("s.txt", "a b\n\n"), labelled=False).sequences) == [["a", "b"], []]


def test_text_and_labels_must_have_as_many_lines(put):
    path, labels = put("s.txt", "a\n\nb\n"), put("l.txt", "x\ny\n")
    message = f"every sequence needs a label, but {path} has 3 lines and {labels} has 2"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_sequences(path, labels)


def test_an_empty_label(put):
    path, labels = put("s.txt", "a\nb\nc\n"), put("l.txt", "x\n \nz\n")
    with pytest.raises(DataError, match=f"^{re.escape(f'{labels}, line 2: no label')}$"):
        read_sequences(path, labels)
    data = read_sequences(path, labels, skip_bad_lines=True)
    assert rows(data) == [(["a"], "x"), (["c"], "z")]
    assert data.skipped == 1


# --- JSON Lines


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            '{"sequence": "a b", "label": "x"}\n\n{"label": 1, "sequence": "", "z": {}}\n',
            [(["a", "b"], "x"), ([], "1")],
        ),
        (
            '{"sequence": ["a b", "c"], "label": true}\n{"sequence": [], "label": "x"}',
            [(["a b", "c"], "true"), ([], "x")],
        ),
        (
            '{"sequence": [3, 10], "label": 2}\n{"sequence": ["a"], "label": -1}',
            [(["3", "10"], "2"), (["a"], "-1")],
        ),
        (
            '{"sequence": [1, 2.5], "label": "x"}\n{"sequence": [3], "label": "x"}\n{"sequence": [], "label": "y"}',
            [([[1.0], [2.5]], "x"), ([[3.0]], "x"), ([], "y")],
        ),
        (
            '{"sequence": [[1, 2], [3, 4.5]], "label": "x"}\n{"sequence": [], "label": "y"}\n',
            [([[1.0, 2.0], [3.0, 4.5]], "x"), ([], "y")],
        ),
        # Text that looks like another type.
        (
            '{"sequence": "[1]", "label": "[1]"}\n{"sequence": "12", "label": "1"}\n{"sequence": "true", "label": "1"}',
            [(["[1]"], "[1]"), (["12"], "1"), (["true"], "1")],
        ),
        ('{"sequ\\u0065nce": "{}", "label": "x"}\n', [(["{}"], "x")]),
        (
            '{"sequence": ["[1]", "2.5"], "label": "x"}\n{"sequence": [1], "label": "x"}',
            [(["[1]", "2.5"], "x"), (["1"], "x")],
        ),
        ('{"sequence": "12", "label": "\\"sequence\\": 3"}\n', [(["12"], '"sequence": 3')]),
    ],
)
def test_json_lines(content, expected, put):
    assert rows(read_sequences(put("a.jsonl", content), tokenize="words")) == expected


def test_empty_lists_of_vectors_have_the_files_width(put):
    data = read_sequences(
        put(
            "a.ndjson",
            '{"sequence": [[1, 2]], "label": "x"}\n{"sequence": [], "label": "y"}\n{"sequence": [[3, 4]], '
            '"label": "y"}',
        )
    )
    assert [x.shape for x in data.sequences] == [(1, 2), (0, 2), (1, 2)]
    assert (data.dim_input, data.symbols, data.lengths.tolist()) == (2, (), [1, 0, 1])
    assert repr(data) == "LabelledSequences(3 of 2 features, lengths 0 to 1, 2 classes)"


BAD_JSON = [
    ("oops", "JSON is malformed: invalid character (byte 0)"),
    ('{"sequence": [[1, 2]], "label"', "Input data was truncated"),
    ("[1, 2]", "Expected `object`, got `array`"),
    ('{"label": "x"}', "Object missing required field `sequence`"),
    ('{"sequence": null, "label": "x"}', "Expected `str | array`, got `null` - at `$.sequence`"),
    ('{"sequence": [[1, 2]]}', "Object missing required field `label`"),
    ('{"sequence": [[1, 2]], "label": " "}', "no label"),
    ('{"sequence": [[1, 2]], "label": [1]}', "Expected `bool | int | str`, got `array` - at `$.label`"),
    ('{"sequence": [[1, 2]], "label": 1.5}', "Expected `bool | int | str`, got `float` - at `$.label`"),
    ('{"sequence": 5, "label": "x"}', "Expected `str | array`, got `int` - at `$.sequence`"),
    ('{"sequence": {"a": 1}, "label": "x"}', "Expected `str | array`, got `object` - at `$.sequence`"),
    (
        '{"sequence": [1, null], "label": "x"}',
        "Expected `bool | int | float | str | array`, got `null` - at `$.sequence[1]`",
    ),
    (
        '{"sequence": [[1, 2], 3], "label": "x"}',
        "the sequence must hold symbols, numbers or vectors, not a mixture",
    ),
    ('{"sequence": [[1, 2], [3]], "label": "x"}', "vectors of 1 and of 2 numbers in one sequence"),
    ('{"sequence": [[1, 2], []], "label": "x"}', "vectors of 0 and of 2 numbers in one sequence"),
    ('{"sequence": [[]], "label": "x"}', "vectors of 0 numbers in one sequence"),
    ('{"sequence": [[1, null]], "label": "x"}', "Expected `float`, got `null` - at `$.sequence[0][1]`"),
    ('{"sequence": [[1, true]], "label": "x"}', "Expected `float`, got `bool` - at `$.sequence[0][1]`"),
    ('{"sequence": [[1, NaN]], "label": "x"}', "JSON is malformed: invalid character (byte 18)"),
    ('{"sequence": [[1, 1e400]], "label": "x"}', "Number out of range - at `$.sequence[0][1]`"),
    ('{"sequence": [9223372036854775808], "label": "x"}', "Expected `int` <= 9223372036854775807 - at `$.sequence[0]`"),
    (
        '{"sequence": "\\ud83d", "label": "x"}',
        "JSON is malformed: unexpected end of escaped utf-16 surrogate pair (byte 20)",
    ),
    ('{"sequence": "a", "label": "x"}', "the sequence is text, but that of line 1 is a list of vectors of 2 numbers"),
    (
        '{"sequence": [[1]], "label": "x"}',
        "the sequence is a list of vectors of 1 number, but that of line 1 is a list of vectors of 2 numbers",
    ),
    ("[" * 100_000, "Expected `object`, got `array`"),
    ('{"z": ' + "[" * 100_000, "maximum recursion depth exceeded"),
]


@pytest.mark.parametrize(("line", "fault"), BAD_JSON)
def test_a_malformed_line_of_json_is_named(line, fault, put):
    good = '{"sequence": [[1, 2]], "label": "x"}'
    path = put("a.jsonl", f"{good}\n{line}\n{good}\n")
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}, line 2: {fault}')}"):
        read_sequences(path)
    data = read_sequences(path, skip_bad_lines=True)
    assert rows(data) == [([[1.0, 2.0]], "x")] * 2
    assert (data.skipped, data.lines.tolist()) == (1, [1, 3])


@pytest.mark.parametrize(
    ("name", "content", "learn", "fault"),
    [
        ("a.csv", "sequence;label\na;x\n", "labels", "has no column 'sequence'; its columns are 'sequence;label'"),
        ("a.csv", 'id;"text"\n1;x\n', "labels", "has no column 'sequence'; its columns are 'id;\"text\"'"),
        ("a.csv", "sequence;label;a,b\na;x;1,2\n", "labels", "has no column 'sequence'; its columns are "),
        ("a.tsv", "height;width\n1;2\n", "series", "has no column of numbers; its columns are 'height;width'"),
        ("a.csv", "h;w\n1,5;2\n2,5;3,5\n", "series", "cannot be read as a table: its columns are 'h;w'"),
    ],
)
def test_another_delimiter_is_suggested(name, content, learn, fault, put):
    path = put(name, content)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path} {fault}')}") as error:
        read_examples(path, learn)
    advice = "they seem to be separated by ';', so give delimiter=';'"
    assert str(error.value).endswith(advice)


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ('"a"', "5", "Expected `str | array`, got `int` - at `$.sequence`"),
        ('"a"', '["a"]', "the sequence is a list of symbols, but that of line 1 is text"),
        ('["a"]', "[[1]]", "the sequence is a list of vectors of 1 number, but that of line 1 is a list of symbols"),
        ('["a"]', "[1.5]", "the sequence is a list of numbers, but that of line 1 is a list of symbols"),
        ("[1]", '"1"', "the sequence is text, but that of line 1 is a list of integers"),
        ('""', "[]", "the sequence is an empty list, but that of line 1 is text"),
        ("[]", '"a"', "the sequence is text, but that of line 1 is an empty list"),
    ],
)
def test_kinds_of_sequences_are_not_mixed(first, second, fault, put):
    lines = [json.dumps({"label": "x"})[:-1] + f', "sequence": {value}}}' for value in (first, first, second)]
    path = put("a.jsonl", "\n".join(lines))
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}, line 3: {fault}')}$"):
        read_sequences(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"text": "a", "label": 1}\n',
            "{} has no column 'sequence'; its columns are 'text', 'label': say which is the text column (text_column)",
        ),
        ('{"sequence": "a"}\n{"sequence": "b", "label": "x"}', "{}, line 1: Object missing required field `label`"),
        ("\n \n", "{} holds no sequence"),
        ("1\n", "{}, line 1: Expected `object`, got `int`"),
    ],
)
def test_json_lines_without_the_columns(content, message, put):
    path = put("a.jsonl", content)
    with pytest.raises(DataError, match=f"^{re.escape(message.format(path))}$"):
        read_sequences(path)


SCALARS = st.one_of(TEXT, st.integers(-5, 5), st.floats(allow_nan=False, width=16), st.booleans())
VALUES = st.one_of(
    SCALARS, st.none(), st.lists(SCALARS, max_size=3), st.lists(st.lists(SCALARS, max_size=2), max_size=2)
)


# Random objects are rarely sequences: one example of each kind.
@example([{"sequence": "a b", "label": "x"}, {"sequence": "b", "label": "y"}])
@example([{"sequence": ["a", "b"], "label": "x"}, {"sequence": ["b"], "label": "y"}])
@example([{"sequence": [[1.5, 2], [0, 3]], "label": "x"}, {"sequence": [[1, 2]], "label": "y"}])
@given(st.lists(st.dictionaries(st.sampled_from(["sequence", "label", "x"]), VALUES), min_size=1, max_size=4))
def test_any_objects_are_read_or_refused(tmp_path_factory, objects):
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    path.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in objects), encoding="utf-8")
    try:
        data = read_sequences(path, tokenize="words", skip_bad_lines=True)
    except DataError as error:
        assert "\n" not in str(error)
        return
    assert len(data) + data.skipped == len(objects)
    for sequence, line in zip(data.sequences, data.lines.tolist(), strict=True):
        given = objects[line - 1]["sequence"]
        if not data.is_tokens:
            assert np.array_equal(sequence, np.array(given, float).reshape(sequence.shape))
        elif isinstance(given, str):
            assert sequence == given.split()
        else:
            assert len(sequence) == len(given)


# --- Parquet


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        (["a b", ""], [["a", "b"], []]),
        (pl.Series(["a b", "c"], dtype=pl.Categorical), [["a", "b"], ["c"]]),
        ([["a b"], []], [["a b"], []]),
        ([[1, 2], []], [["1", "2"], []]),
        ([[1.5], []], [[[1.5]], []]),
        ([[[1, 2]], [[3, 4], [5, 6]]], [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]]),
        (pl.Series([[[1, 2]], [[3, 4]]], dtype=pl.Array(pl.Int8, (1, 2))), [[[1.0, 2.0]], [[3.0, 4.0]]]),
    ],
)
def test_parquet(sequences, expected, parquet):
    path = parquet(sequence=sequences, label=[1, 0])
    assert rows(read_sequences(path)) == list(zip(expected, ["1", "0"], strict=True))


@pytest.mark.parametrize(
    ("sequences", "fault"),
    [
        (["a", None], "Expected `str | array`, got `null` - at `$.sequence`"),
        ([["a"], [None]], "Expected `bool | int | float | str | array`, got `null` - at `$.sequence[0]`"),
        ([[1.0], [float("nan")]], "a number that is not finite"),
        ([[[1.0]], [[float("inf")]]], "a number that is not finite"),
        ([[[1.0]], [[None]]], "Expected `float`, got `null` - at `$.sequence[0][0]`"),
        ([[[1.0]], [[]]], "vectors of 0 numbers in one sequence"),
        ([[[1.0]], [None]], "Expected `bool | int | float | str | array`, got `null` - at `$.sequence[0]`"),
        (
            [[[1.0]], [[1.0, 2.0]]],
            "the sequence is a list of vectors of 2 numbers, but that of row 1 is a list of vectors of 1 number",
        ),
    ],
)
def test_a_malformed_row_of_parquet_is_named(sequences, fault, parquet):
    path = parquet(sequence=sequences, label=["x", "y"])
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}, row 2: {fault}')}$"):
        read_sequences(path)
    data = read_sequences(path, skip_bad_lines=True)
    assert (data.skipped, data.labels.tolist()) == (1, ["x"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"sequence": [1, 2], "label": [1, 2]},
            "{}, row 1: Expected `str | array`, got `int` - at `$.sequence`",
        ),
        (
            {"sequence": ["a"], "label": [1.5]},
            "{}, row 1: Expected `bool | int | str`, got `float` - at `$.label`",
        ),
        (
            {"text": ["a"], "label": [1]},
            "{} has no column 'sequence'; its columns are 'text', 'label': say which is the text column (text_column)",
        ),
        ({"sequence": pl.Series([], dtype=pl.String), "label": pl.Series([], dtype=pl.String)}, "{} holds no sequence"),
        (
            {"sequence": ["a"], "label": [None]},
            "{}, row 1: Expected `bool | int | str`, got `null` - at `$.label`",
        ),
    ],
)
def test_parquet_of_a_wrong_type(columns, message, parquet):
    path = parquet(**columns)
    with pytest.raises(DataError, match=f"^{re.escape(message.format(path))}$"):
        read_sequences(path)


COLUMNS = st.sampled_from(
    [
        pl.Series([1.5, 2.5]),
        pl.Series([True, None]),
        pl.Series([b"a", b"b"]),
        pl.Series([{"a": 1}, None]),
        pl.Series(["a", "b"]),
        pl.Series([[{"a": 1}], []]),
        pl.Series([["a"], None]),
        pl.Series([[["a"]], []]),
        pl.Series([[[[1]]], []]),
        pl.Series([1, 2]).cast(pl.Date),
        pl.Series([None, None]),
        pl.Series([[None], []]),
        pl.Series([[[]], [[]]]),
        pl.Series([[[]], []]),
        pl.Series([[], []]),
        pl.Series([1, 2]).cast(pl.Decimal(5, 2)),
        pl.Series([[1], [2]]).cast(pl.List(pl.Decimal(5, 2))),
        pl.Series(["x", " "]),
    ]
)


@example(pl.Series([["a"], ["b"]]), pl.Series(["x", "y"]), False, None)
@given(COLUMNS, COLUMNS, st.booleans(), st.sampled_from([None, "tokens", "features"]))
def test_any_columns_of_parquet_are_read_or_refused(tmp_path_factory, sequences, labels, skip, kind):
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    pl.DataFrame({"sequence": sequences, "label": labels}).write_parquet(path)
    try:
        data = read_sequences(path, skip_bad_lines=skip, kind=kind)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert len(data.sequences) == len(data.labels) == len(data.lines) == 2 - data.skipped


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1PAR1", b"sequence,label\na,b\n"])
def test_a_file_that_is_not_parquet(content, put):
    path = put("a.parquet", content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} is (not a|a damaged) Parquet file"):
        read_sequences(path)


def test_parquet_that_is_cut_short(parquet, put):
    whole = parquet(sequence=["a"] * 50, label=["x"] * 50).read_bytes()
    with pytest.raises(DataError, match=r"is not a Parquet file, or it is cut short$"):
        read_sequences(put("b.parquet", whole[:-20]))


# --- arguments, and any bytes at all


def test_numbers_as_features_or_symbols(put):
    path = put("a.jsonl", '{"sequence": [1, 2], "label": "x"}\n{"sequence": [], "label": "y"}\n')
    assert rows(read_sequences(path, kind="tokens")) == [(["1", "2"], "x"), ([], "y")]
    assert rows(read_sequences(path, kind="features")) == [([[1.0], [2.0]], "x"), ([], "y")]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("[1.5]", "tokens", "{} holds lists of numbers or of vectors, but symbols are expected"),
        ('"1 2"', "features", "{} holds text, but features (numbers or vectors) are expected"),
        ('["a"]', "features", "{} holds lists of symbols, but features (numbers or vectors) are expected"),
    ],
)
def test_sequences_of_another_kind_than_expected(value, kind, message, put):
    path = put("a.jsonl", f'{{"sequence": {value}, "label": "x"}}\n')
    with pytest.raises(DataError, match=f"^{re.escape(message.format(path))}$"):
        read_sequences(path, kind=kind)


def test_lists_have_no_characters(put):
    path = put("a.jsonl", '{"sequence": ["ab"], "label": "x"}\n')
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} holds lists: only text can be read as characters$"):
        read_sequences(path, tokenize="characters")


ENDINGS = "path must end in .csv, .tsv, .tab, .jsonl, .ndjson, .parquet, .pq, .tok or .txt, optionally followed by .gz"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.doc",), f"{ENDINGS}, not 'a.doc'"),
        (("a.csv.zip",), f"{ENDINGS}, not 'a.csv.zip'"),
        (("a.gz",), f"{ENDINGS}, not 'a.gz'"),
        (("a.csv", "l.txt"), "a .csv file has a column of labels: labels is for plain text, not for a.csv"),
        ((5,), "path must be the name of a file, not 5"),
        (("a.txt", 5), "labels must be the name of a file, not 5"),
    ],
)
def test_arguments_that_conflict(arguments, message):
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$"):
        read_sequences(*arguments)


def test_an_unknown_kind():
    with pytest.raises(InvalidArgument, match=r"^kind must be one of 'tokens', 'features', not 'token'; did you mean"):
        read_sequences("a.csv", kind="token")


def test_plain_text_without_labels(put):
    path = put("a.txt", "a b\n")
    message = f"{path} is plain text: its labels must be in a separate file, one per line"
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$"):
        read_sequences(path)


def test_a_path_that_is_not_a_file(tmp_path):
    folder = tmp_path / "a.csv"
    folder.mkdir()
    messages = {
        folder: f"{folder} is a folder, not a file",
        "no.csv": "there is no file no.csv",
        "no.txt": "there is no file no.txt",
    }
    for name, message in messages.items():
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            read_sequences(name)
    with pytest.raises(DataError, match=r"cannot be read: embedded null byte$"):
        read_sequences("a\0.csv")


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=4),
        st.sampled_from(
            [
                b"sequence",
                b"label",
                b",",
                b"\n",
                b"\t",
                b'"',
                b'""',
                b"\r\n",
                b" ",
                b"a",
                b"{",
                b"}",
                b":",
                b"[",
                b"]",
                b'{"sequence": "a", "label": "x"}\n',
                b"sequence,label\n",
                b"a,b\n",
                b"1.5",
                b"null",
                b"\xff",
                b"\0",
            ]
        ),
    ),
    max_size=14,
).map(b"".join)


@given(PIECES, st.sampled_from([".csv", ".tsv", ".jsonl", ".txt"]), st.booleans(), st.booleans(), st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, ending, characters, skip, header):
    folder = tmp_path_factory.mktemp("bytes")
    path, labels = folder / f"a{ending}", folder / "l.txt"
    path.write_bytes((b"sequence,label\n" if header else b"") + content)
    labels.write_bytes(b"x\ny\n")
    pair = (labels,) if ending == ".txt" else ()
    try:
        data = read_sequences(path, *pair, tokenize="characters" if characters else "words", skip_bad_lines=skip)
    except MyRNNError as error:
        assert "\n" not in str(error)
    else:
        assert len(data.sequences) == len(data.labels) == len(data.lines) > 0
        assert all(data.labels.tolist())


# --- sequences of symbols


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=5), min_size=1, max_size=8), st.data())
def test_token_sequences_are_a_list_of_lists(lists, data):
    offsets = np.concatenate(([0], np.cumsum([len(one) for one in lists])))
    codes = np.array(["abcde".index(symbol) for one in lists for symbol in one], dtype=np.int32)
    found = TokenSequences(tuple("abcde"), codes, offsets)
    assert (len(found), list(found), found.lengths.tolist()) == (len(lists), lists, [len(one) for one in lists])
    place = data.draw(st.integers(-len(lists), len(lists) - 1))
    assert found[place] == lists[place]
    part = data.draw(st.slices(len(lists)))
    assert list(found[part]) == lists[part]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(lists), max_size=len(lists))))
    assert list(found[mask]) == [one for one, chosen in zip(lists, mask, strict=True) if chosen]
    assert list(found[np.flatnonzero(mask)]) == list(found[mask])


def test_positions_that_do_not_exist():
    found = TokenSequences(("a",), np.zeros(2, np.int32), np.array([0, 1, 2]))
    assert repr(found) == "TokenSequences(2 of 1 different symbols)"
    with pytest.raises(IndexError, match=r"^there is no sequence 2: there are 2$"):
        found[2]
    with pytest.raises(InvalidArgument, match=r"^index must be an integer, not 'a'$"):
        found["a"]
    with pytest.raises(
        InvalidArgument, match=r"^indices must be integers, a mask or a slice that fits 2 sequences, not \[5\]$"
    ):
        found[[5]]


@pytest.mark.parametrize("characters", [False, True])
def test_a_file_is_encoded_in_portions(characters, put, monkeypatch):
    texts = ["a b", "", "c a", " ", "b  d", "a"]
    path = put("s.txt", "".join(f"{text}\n" for text in texts))
    whole = list(read_sequences(path, tokenize="characters" if characters else "words", labelled=False).sequences)
    monkeypatch.setattr(symbols_module, "PORTION", 2)
    data = read_sequences(path, tokenize="characters" if characters else "words", labelled=False)
    assert list(data.sequences) == whole == [list(text) if characters else text.split() for text in texts]
    assert len(set(data.symbols)) == len(data.symbols)


@pytest.mark.parametrize("end", ["\r", "\r\n"])
@pytest.mark.parametrize(
    ("name", "learn", "lines"),
    [
        ("a.csv", "labels", ["sequence,label", "a b,x", "b a,y", '"b,c",y']),
        ("a.tsv", "labels", ["sequence\tlabel", "ab\tx", "b a\ty"]),
        ("a.jsonl", "labels", ['{"sequence": "ab", "label": 1}', '{"sequence": "b a", "label": 2}']),
        ("a.txt", "labels", ["ab\tx", "b a\ty"]),
        ("b.txt", "text", ["the cat", "", "sat"]),
        ("c.txt", "series", ["1 2", "3 4", "5 6"]),
        ("c.csv", "series", ["a,b", "1,2", "3,4", "5,6"]),
    ],
)
def test_line_ends_of_other_systems(put, name, learn, lines, end):
    expected, found = (read_examples(put(name, (e.join(lines) + e).encode()), learn) for e in ("\n", end))
    assert len(found) == len(expected)
    assert list(map(str, found.sequences)) == list(map(str, expected.sequences))
    assert (found.labels is None) == (expected.labels is None)
    assert found.labels is None or found.labels.tolist() == expected.labels.tolist()
