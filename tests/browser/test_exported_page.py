"""The page of an exported network as a user sees and uses it: its answers are those of the network."""

from pathlib import Path

import numpy as np
import pytest
from exported_page import ExportedPage
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import myrnn
from myrnn import (
    Experiment,
    LanguageModel,
    SequenceClassifier,
    SequenceForecaster,
    SequenceRegressor,
    Sequences,
    SequenceTagger,
)

HERE = Path(__file__).parent
FEW = {"max_epochs": 2, "random_state": 0}
HOSTILE = ("</script><b>", "<!--<script>", "&amp;")
SPACES = ("New York", "New␣York", "a\nb", "tab\t", " ", "  ", "\u2028", "\r", "\x01", "\u200b", "York")
WAVE = 20 + 5 * np.sin(np.arange(200) / 4) + np.random.default_rng(0).normal(size=200)


def sequences_of(alphabet, count, seed=0):
    rng = np.random.default_rng(seed)
    return [[str(symbol) for symbol in rng.choice(alphabet, rng.integers(2, 8))] for _ in range(count)]


def task_run(tmp, task, model):
    experiment = Experiment(task, model).with_training(iterations=3000).with_evaluation(samples=2000)
    return myrnn.run(experiment, tmp / "run", progress=False)


def classes(tmp):
    return task_run(tmp, "twin-halves:pattern_length_max=3", "rnn:dim_recurrent=20")


def labels(tmp):
    return task_run(tmp, "dyck:kinds=2,depth=3,objective=next_symbols", "lstm:dim_recurrent=8")


def tags(tmp):
    X = sequences_of(["the", "cat", "sees"], 60)
    return SequenceTagger("gru", dim_recurrent=6, **FEW).fit(X, [[word[0].upper() for word in x] for x in X])


def both_ways(tmp):
    X = sequences_of(["the", "cat", "sees"], 60)
    tagger = SequenceTagger("gru", dim_recurrent=6, bidirectional=True, **FEW)
    return tagger.fit(X, [[word[0].upper() for word in x] for x in X])


def words(tmp):
    X = sequences_of(list("abc"), 60)
    return SequenceClassifier("gru", dim_recurrent=6, **FEW).fit(X, ["yes" if "a" in x else "no" for x in X])


def text(tmp):
    return LanguageModel("gru", dim_recurrent=12, **FEW).fit("abc, cab.\nbac " * 60)


def numbers(tmp):
    X = list(np.random.default_rng(0).normal(size=(60, 5, 2)) * [1, 10] + [0, 5])
    return SequenceRegressor("rnn", dim_recurrent=6, **FEW).fit(X, np.array([x.sum() for x in X]))


def features(tmp):
    X = list(np.random.default_rng(0).normal(size=(60, 5, 2)))
    return SequenceClassifier("rnn", dim_recurrent=6, **FEW).fit(X, ["up" if x.sum() > 0 else "down" for x in X])


def series(tmp):
    return SequenceForecaster("gru", dim_recurrent=8, difference=1, period=25, max_epochs=5, random_state=0).fit(WAVE)


def hostile(tmp):
    X = sequences_of(HOSTILE, 60)
    return SequenceClassifier("rnn", dim_recurrent=6, **FEW).fit(
        X, [HOSTILE[0] if HOSTILE[0] in x else "no" for x in X]
    )


def spaces(tmp):
    X = sequences_of(SPACES, 60)
    return SequenceClassifier("rnn", dim_recurrent=6, **FEW).fit(X, ["yes" if SPACES[0] in x else "no" for x in X])


KINDS = {
    make.__name__: make
    for make in (classes, labels, tags, both_ways, words, text, numbers, features, series, hostile, spaces)
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Train and export a network of a kind once."""
    known = {}

    def export(kind):
        if kind not in known:
            folder = tmp_path_factory.mktemp(kind)
            source = KINDS[kind](folder)
            known[kind] = source, myrnn.export(source, folder / "net.html")
        return known[kind]

    return export


@pytest.fixture
def opened(exported, tab):
    def open_page(kind, **how):
        source, path = exported(kind)
        page = ExportedPage(tab, path)
        page.open(**how)
        return source, page

    return open_page


def last_outputs(run, read):
    """The outputs of a run after the last step of one sequence, computed by the library."""
    return run.compiled.logits(read)[-1]


# What is typed into the page of each kind; for rows, also the rows themselves.
GIVEN = {
    "classes": "121312",
    "labels": "([])[]",
    "tags": "the cat sees the",
    "both_ways": "cat the sees the",
    "words": "a b c c",
    "text": "cab, a",
    "numbers": "0.5 12\n-1.25 3\n2 -8.5",
    "features": "0.5 1\n-1.25 0.25",
    "hostile": " ".join(HOSTILE),
}


def read_by_library(source, given):
    run = getattr(source, "run_", source)
    if run.task is not None:
        begin = [] if run.reader.start_token is None else [run.reader.start_token]
        names = run.reader.symbol_names or tuple("0123456789")
        tokens = [*begin, *map(names.index, given)]
        return run, Sequences(tokens, [0, len(tokens)], [0], run.task.dim_input)
    if run.reader.is_symbols:
        return run, run.reader.read_texts([given])
    return run, run.reader.read([np.array([list(map(float, row.split())) for row in given.split("\n")])])


@pytest.mark.parametrize("kind", GIVEN)
def test_answers_are_those_of_the_network(opened, kind):
    source, page = opened(kind)
    run, read = read_by_library(source, GIVEN[kind])
    # In a field Enter is a new line, too.
    page.type(GIVEN[kind])
    np.testing.assert_allclose(page.logits, last_outputs(run, read), rtol=1e-4, atol=1e-4)
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "#steps tbody tr")) == len(read.values)


def test_the_answer_changes_with_every_symbol(opened):
    run, page = opened("classes")
    page.click("clear")
    assert page.logits is None
    assert page.text("verdict") == "Nothing is read yet."
    digits = "31313"
    for count, digit in enumerate(digits, 1):
        page.driver.find_element(By.XPATH, f"//div[@id='symbols']/button[text()='{digit}']").click()
        read = run.read_texts([digits[:count]])
        np.testing.assert_allclose(page.logits, last_outputs(run, read), rtol=1e-4, atol=1e-4)
        chance = run.probabilities(read)[0]
        says, sure = run.class_names[chance.argmax()], chance.max()
        assert page.text("verdict") == f"It says {says}, {sure:.1%} sure"
        assert page.texts("#bars .share") == [f"{share:.1%}" for share in chance]
        assert page.texts("#steps tbody tr")[-1].split("\t")[:2] == [str(count), digit]
    page.click("back")
    assert page.find("sequence").get_attribute("value") == digits[:-1]
    assert len(page.texts("#steps tbody tr")) == len(digits) - 1


def test_examples_show_what_is_right(opened):
    run, page = opened("classes")
    for button in page.driver.find_elements(By.CSS_SELECTOR, "#example-list button"):
        button.click()
        read = run.read_texts([button.text])
        says, truth = run.scores(read).argmax(), run.task.truth(read)[0]
        mark = "✓ right" if says == truth else f"✗ wrong: it is {run.class_names[truth]}"
        assert page.text("verdict").endswith(mark)
        assert button.get_attribute("aria-pressed") == "true"
    page.find("sequence").send_keys("1")
    assert "✓" not in page.text("verdict")


def test_states_are_those_of_the_network_and_can_be_read_with_the_keyboard(opened):
    run, page = opened("classes")
    page.type("1213")
    states = myrnn.inspect(run.compiled, "1213", 0).states["h"]
    page.find("sequence").send_keys(Keys.SHIFT + Keys.TAB)
    page.script("document.getElementById('steps-scroll').focus()")
    page.find("steps-scroll").send_keys(Keys.ARROW_UP, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    said = page.text("unit-told")
    assert said.startswith("Unit 2 of h after step 3: ")
    np.testing.assert_allclose(float(said.split()[-1]), states[2, 2], rtol=6e-3)
    assert page.find("live").get_attribute("textContent") == said
    canvas = page.driver.find_element(By.CSS_SELECTOR, "#steps [data-step='3']")
    most = np.abs(states[3]).argmax()
    assert canvas.get_attribute("aria-label").startswith(f"h: unit {most} ")


def test_several_states_can_be_chosen(opened):
    _, page = opened("labels")
    options = page.texts("#state option")
    assert sorted(option.split()[0] for option in options) == ["c", "h"]
    page.find("state").send_keys(options[1])
    assert page.texts("#steps thead th")[-1] == f"state {options[1].split()[0]}"


def test_every_key_adds_its_own_symbol(opened):
    source, page = opened("spaces")
    run = source.run_
    keys = page.driver.find_elements(By.CSS_SELECTOR, "#symbols button")
    shown = [key.text for key in keys]
    assert len(set(shown)) == len(SPACES) and all(shown) and "New␣York" in shown
    for count in (1, 2):
        page.click("clear")
        for key in keys * count:
            key.click()
        tokens = [*range(1, len(SPACES) + 1)] * count
        read = Sequences(tokens, [0, len(tokens)], [0], len(SPACES) + 1)
        np.testing.assert_allclose(page.logits, last_outputs(run, read), rtol=1e-4, atol=1e-4)
        assert not page.find("sequence-told").is_displayed()
    page.click("back")
    assert len(page.texts("#steps tbody tr")) == 2 * len(SPACES) - 1


def test_unknown_symbols_are_named(opened):
    _, page = opened("classes")
    page.type("12x")
    assert page.text("sequence-told") == "x is not among its symbols and left out."
    assert page.find("sequence").get_attribute("aria-invalid") == "true"
    source, page = opened("words")
    page.type("a zebra b")
    assert page.text("sequence-told") == "zebra is not among its symbols: read as unknown."
    with pytest.warns(UserWarning, match="zebra"):
        run, read = read_by_library(source, "a zebra b")
    np.testing.assert_allclose(page.logits, last_outputs(run, read), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("typed", "told"), [("1 2\n3", "Line 2 has 1 number, but a step has 2."), ("1 2\n3 x", "Line 2 is not numbers.")]
)
def test_rows_that_are_none_are_named(opened, typed, told):
    _, page = opened("numbers")
    page.type(typed)
    assert page.text("sequence-told") == told


def test_numbers_are_in_the_units_of_the_data(opened):
    source, page = opened("numbers")
    page.type(GIVEN["numbers"])
    rows = np.array([list(map(float, row.split())) for row in GIVEN["numbers"].split("\n")])
    said = float(page.text("verdict").removeprefix("It says "))
    np.testing.assert_allclose(said, source.predict([rows])[0], rtol=6e-3)


def test_text_is_written_as_the_network_writes_it(opened):
    source, page = opened("text")
    page.type("cab")
    page.script("const t = document.getElementById('temperature'); t.value = 0; t.dispatchEvent(new Event('input'));")
    page.script("document.getElementById('amount').value = 60;")
    page.click("write")
    page.wait(lambda: page.find("written").get_attribute("data-done") == "yes", "it did not write")
    assert page.find("written").get_attribute("textContent") == "cab" + source.generate("cab", 60, temperature=0)


@pytest.mark.filterwarnings("ignore:.* outside of the differences")
def test_a_drawn_series_is_continued(opened):
    source, page = opened("series")
    known = WAVE[:80].round(3)
    page.script("document.getElementById('horizon').value = 30;")
    page.script("document.getElementById('numbers').value = arguments[0];", " ".join(map(str, known)))
    page.find("numbers").send_keys(" ")
    expected = myrnn.forecast(source, known, 30, paths=0).mean
    np.testing.assert_allclose(np.ravel(page.ahead), expected, rtol=1e-4)
    page.click("series-clear")
    assert page.ahead == []
    svg = page.find("series")
    page.script("arguments[0].scrollIntoView({block: 'center'})", svg)
    wide = svg.size["width"]
    draw = ActionChains(page.driver, duration=20).move_to_element_with_offset(svg, -0.35 * wide, 0).click_and_hold()
    for part in range(8):
        draw.move_by_offset(int(0.06 * wide), 30 if part % 2 else -30)
    draw.release().perform()
    drawn = list(map(float, page.find("numbers").get_attribute("value").split()))
    assert 40 < len(drawn) < 100
    assert len(page.ahead) == 30
    np.testing.assert_allclose(np.ravel(page.ahead), myrnn.forecast(source, drawn, 30, paths=0).mean, rtol=1e-2)


@pytest.mark.filterwarnings("ignore:.* outside of the differences")
def test_the_first_series_is_like_those_that_it_learned(opened):
    """A series of differences is not known; its differences are those of the wave."""
    source, page = opened("series")
    rows = np.array(list(map(float, page.find("numbers").get_attribute("value").split())))
    run = source.run_
    lags = run.reader.targets.differences.earlier
    changes = rows.copy()
    for lag, factor in lags:
        changes[lag:] -= factor * rows[:-lag]
    units = run.reader.encoder
    z = (changes[26:] - units.mean[0]) / units.scale[0]
    assert len(rows) == 100 and 1 < z.max() < 1.4 and -1.4 < z.min() < -1


@pytest.mark.parametrize("kind", ["classes", "text", "numbers", "series", "hostile"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_and_can_be_read(opened, kind, theme):
    _, page = opened(kind, theme=theme)
    for width in (400, 700, 1000, 1600):
        page.open(width=width, theme=theme)
        assert page.overflow() <= 0
        assert page.script((HERE / "contrast.js").read_text()) == []
        assert page.script((HERE / "labels.js").read_text()) == []
    assert page.nameless() == []
    assert page.script("return performance.getEntriesByType('resource').map(one => one.name)") == []
    is_dark = page.script("return getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 25)"
    assert is_dark == (theme == "dark")
    page.click("theme")
    assert (page.script("return getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 25)") != is_dark
    page.script("localStorage.clear()")


def test_the_page_is_used_with_the_keyboard_alone(opened):
    _, page = opened("classes")
    page.script("document.getElementById('clear').focus(); document.activeElement.blur();")
    page.script("document.body.tabIndex = -1; document.body.focus();")
    reached = []
    for _ in range(30):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        focused = page.script("return document.activeElement.id || document.activeElement.innerText")
        reached.append(focused)
        if focused == "4":
            page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert {"theme", "sequence", "4", "clear", "steps-scroll", "equations", "graph"} <= set(reached)
    assert page.find("sequence").get_attribute("value").endswith("4")


def test_hostile_names_are_shown_as_text(opened):
    _, page = opened("hostile")
    assert page.texts("#symbols button") == sorted(HOSTILE)
    page.type(GIVEN["hostile"])
    assert [row.split("\t")[1] for row in page.texts("#steps tbody tr")] == list(HOSTILE)
    assert page.texts("#bars .name") == sorted((HOSTILE[0], "no"))
    assert not page.driver.find_elements(By.CSS_SELECTOR, "main b b, body > b, img:not([alt])")


def test_accuracy_by_length_is_drawn(opened):
    _, page = opened("classes")
    bars = page.script("return [...document.querySelectorAll('#lengths .bar')].map(bar => bar.textContent)")
    assert [bar.split(":")[0] for bar in bars] == [f"length {length}" for length in range(2, 13, 2)]
    _, page = opened("tags")
    assert not page.find("card-lengths").is_displayed()
