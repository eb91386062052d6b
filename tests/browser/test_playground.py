"""The page of the playground as a user sees and uses it, in a real browser."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import myrnn
from myrnn.runs import load_run, save_run

HERE = Path(__file__).parent
# Short sequences are learned within some thousand iterations.
SHORT = "pattern_length_max=3"
OWN = """
import numpy as np
from mygrad import tanh
from myrnn import dense


class Mine:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters
"""


def network_of(page, iterations, cell=myrnn.RNN):
    """The network that the page should have after a number of iterations, created and trained in Python."""
    task = myrnn.tasks.TwinHalves(1, 3)
    model = cell(10, 50, 2, rng=np.random.default_rng((0, 1)))
    if iterations:
        optimizer = myrnn.Adam(model.parameters, learning_rate=0.001)
        myrnn.train(model, task, optimizer, iterations=iterations, batch_size=1, seed=0, progress=False)
    return model


def assert_row_is(row, model, truth):
    seen = myrnn.inspect(model, np.array(row["tokens"]), truth)
    np.testing.assert_allclose(
        [dict(likely)[1] for likely in row["likely"]], seen.probabilities[:, 1], rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(row["values"], seen.states["h"].ravel(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(row["gradients"], seen.state_gradient_norms["h"], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(row["loss"], seen.loss, rtol=1e-5)


def test_a_network_is_trained_until_accuracy_by_length_has_risen(page):
    page.open(SHORT)
    page.wait(lambda: 0.3 < page.accuracy < 0.7, "an untrained network did not guess")
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: page.accuracy > 0.85, "accuracy did not rise")
    page.pause()
    page.wait(lambda: page.tried() >= 400, "the bars stayed unsure")
    bars = page.script(
        "return [...document.querySelectorAll('#accuracy .bar')].map(bar => [bar.classList[1], bar.textContent])"
    )
    assert [kind for kind, _ in bars] == 3 * ["trained"] + 3 * ["beyond"]
    assert bars[0][1].startswith("length 2: ") and "(95%: " in bars[0][1]
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "#accuracy .interval")) == 6
    assert page.find("curve-accuracy").get_attribute("aria-label").startswith("accuracy: ")
    assert page.driver.find_elements(By.CSS_SELECTOR, "#curve-loss .line.loss")


def test_every_view_shows_its_iteration_and_is_dimmed_when_outdated(page):
    page.open(SHORT)
    page.set_speed("full")
    page.click("play")

    def ages():
        found = page.script(
            "return [...document.querySelectorAll('[data-view]')].map(card => "
            "[card.classList.contains('old'), card.querySelector('.age').textContent])"
        )
        return [(old, told) for old, told in found if told]

    page.wait(lambda: ages() and not any(old for old, _ in ages()), "no view was of now")
    page.hide(True)
    page.wait(lambda: all(old for old, _ in ages()), "a view that nobody looks at was not dimmed")
    page.hide(False)
    page.pause()
    page.wait(lambda: (False, f"at iteration {page.text('iteration')}") in ages(), "no view was of now again")


def test_a_diverged_network_has_no_bars_until_there_is_another(page):
    page.open(f"{SHORT}&optimizer=sgd&learning_rate=10")
    bars = lambda: page.driver.find_elements(By.CSS_SELECTOR, "#accuracy .bar")  # noqa: E731
    page.wait(bars, "there are no bars of an untrained network")
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: "finite" in page.text("accuracy-told"), "the page does not say what is wrong with the network")
    page.wait(lambda: not bars(), "old bars are still there")
    assert np.isnan(page.accuracy)
    page.scroll_to("card-row")
    page.wait(lambda: "overflow" in page.text("verdict"), "the row shows old values")
    page.resize(900, 900)
    page.wait(lambda: not page.shown("heat"), "old states are still there")
    assert "overflow" in page.text("verdict")
    page.click("reset")
    page.wait(lambda: "The network says" in page.text("verdict"), "the row did not come back")
    page.scroll_to("card-accuracy")
    page.wait(bars, "the bars did not come back")
    assert "right on trained lengths" in page.text("accuracy-told")


def test_learning_rate_clipping_and_batch_change_while_it_plays(page):
    page.open(SHORT)
    page.set_speed("full")
    page.click("play")
    for name, label, value in [("learning_rate", "0.003", 0.003), ("gradient_clip", "1", 1), ("batch_size", "4", 4)]:
        page.wait(lambda: page.iteration > 500, "it does not train")
        done = page.iteration
        page.choose(f"set-{name}", label)
        page.wait(lambda name=name, value=value: page.network()[name] == value, f"{name} was not taken")
        page.wait(lambda done=done: page.iteration > done + 500, "it did not continue")
        assert page.playing
    assert "batch_size=4" in page.driver.current_url
    page.choose("set-seed", "1")
    page.wait_for_network(seed=1)
    assert not page.playing


def test_an_edited_sequence_agrees_with_inspect(page):
    page.open(f"{SHORT}&sequence=121212")
    for _ in range(3):
        page.step()
    model = network_of(page, 3)
    assert_row_is(page.row(), model, 0)
    page.type("345")
    assert page.digits() == "345212"
    assert page.driver.switch_to.active_element.get_attribute("aria-label") == "symbol 4"
    assert_row_is(page.row(), model, 0)
    page.press(Keys.ARROW_UP)
    page.type("45", 4)
    assert page.digits() == "345345"
    assert_row_is(page.row(), model, 1)
    page.press(Keys.HOME, Keys.DELETE, "+")
    page.wait(lambda: page.row()["tokens"] == [4, 0, 5, 3, 4, 5], "digits were not removed and added")
    assert_row_is(page.row(), model, 0)
    assert f"loss {page.row()['loss']:.3g}" in page.text("verdict")


def test_a_state_has_the_colour_of_its_value(page):
    page.open(f"{SHORT}&sequence=123123&cell=rnn-tanh")
    row = page.row()
    values = np.reshape(row["values"], (6, 50))
    drawn = np.array(
        page.script(
            """
            const heat = document.getElementById('heat'), context = heat.getContext('2d');
            const at = (step, unit) => context.getImageData(
                (step + 0.5) * heat.width / 6, (unit + 0.5) * heat.height / 50, 1, 1).data.slice(0, 3);
            return Array.from({length: 6}, (_, step) => Array.from({length: 50}, (_, unit) => [...at(step, unit)]));
            """
        )
    )
    zero, above, below = (
        np.array(
            page.script(
                """
        const value = getComputedStyle(document.documentElement).getPropertyValue(`--heat-${arguments[0]}`).trim();
        return [1, 3, 5].map(at => parseInt(value.slice(at, at + 2), 16));
        """,
                name,
            )
        )
        for name in ("zero", "above", "below")
    )
    share = (np.abs(values) / np.abs(values).max())[..., np.newaxis]
    expected = zero + (np.where(values[..., np.newaxis] > 0, above, below) - zero) * share
    assert np.abs(drawn - expected).max() < 3


def test_the_loss_of_one_iteration_agrees_with_loss_and_gradients(page):
    page.open(SHORT)
    compiled = myrnn.compile(network_of(page, 0))
    page.step()
    last = page.find("last")
    tokens = np.array([int(digit) for digit in page.texts("#last button")[0]])
    half = len(tokens) // 2
    truth = int((tokens[:half] == tokens[half:]).all())
    loss, _ = compiled.loss_and_gradients(np.eye(10, dtype=np.float32)[tokens], np.array([truth]))
    assert float(last.get_attribute("data-loss")) == pytest.approx(loss, rel=1e-5)
    assert f"{loss:.3g}" in last.text
    page.click_on(last.find_element(By.TAG_NAME, "button"))
    page.wait(lambda: page.row()["tokens"] == tokens.tolist(), "the sequence did not come into the row")


def test_a_run_is_saved_and_loaded(page):
    page.open(f"{SHORT}&sequence=123123")
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: page.iteration > 1000, "it did not train")
    page.pause()
    done, row = page.iteration, page.row()
    page.click("save")
    page.wait(lambda: page.text("kept").startswith("Saved in runs/"), "it was not saved")
    name = page.text("kept").split(".")[0].removeprefix("Saved in runs/")
    run = load_run(page.server.folder / "runs" / name)
    assert run.history.iteration[-1] == done
    assert_row_is(row, run.model, 1)
    page.click("reset")
    page.wait(lambda: page.iteration == 0 and not page.shown("banner"), "it did not start over")
    page.choose("runs", name)
    page.click("load")
    page.scroll_to("card-row")
    page.wait(lambda: page.iteration == done and not page.shown("banner"), "the run was not loaded")
    page.wait(lambda: page.row()["values"] == row["values"], "it is not the network that was saved")
    page.step()
    assert page.iteration == done + 1


def test_a_run_that_settings_cannot_reproduce_has_no_reset_and_no_link(page):
    task, model = myrnn.tasks.TwinHalves(1, 3), myrnn.RNN(10, 8, 2, recurrent_init="identity", rng=0)
    optimizer = myrnn.Adam(model.parameters)
    history = myrnn.train(model, task, optimizer, iterations=20, progress=False)
    save_run(page.server.folder / "runs" / "odd", task=task, model=model, optimizer=optimizer, history=history)
    page.open(SHORT)
    page.choose("runs", "odd")
    page.click("load")
    page.wait(lambda: "recurrent_init identity" in page.text("kept"), "the page does not say what the run has")
    assert [page.find(name).is_enabled() for name in ("reset", "copy-link", "play")] == [False, False, True]
    page.choose("set-seed", "1")
    page.wait_for_network(seed=1)
    assert page.find("reset").is_enabled() and page.find("copy-link").is_enabled()


def test_a_run_on_data_is_shown_edited_and_trained(page):
    words = ["".join(word) for length in range(1, 6) for word in itertools.product("ab", repeat=length)]
    files = [page.server.folder / name for name in ("train.csv", "test.csv")]
    for file, longest in zip(files, (4, 5), strict=True):
        lines = [f"{word},{('even', 'odd')[word.count('a') % 2]}" for word in words if len(word) <= longest]
        file.write_text("\n".join(["sequence,label", *lines]))
    experiment = myrnn.Experiment(
        data={"file": str(files[0])},
        model={"dim_recurrent": 16},
        training={"max_epochs": 1, "batch_size": 4},
        evaluation={"test": str(files[1])},
    )
    with pytest.warns(UserWarning, match="of the sequences of .*test.csv are also in the training data"):
        model = myrnn.run(experiment, page.server.folder / "runs" / "parity", progress=False).model
    page.open(SHORT)
    page.choose("runs", "parity")
    page.click("load")
    page.scroll_to("card-row")
    page.wait(lambda: "train.csv" in page.text("task-told") and not page.shown("banner"), "the run was not loaded")
    page.wait(lambda: page.row()["units"] == 16, "the row is another network's")
    page.type("abba")
    assert page.digits()[:4] == "abba" and set(page.digits()) == {"a", "b"}
    # The arrows step through the symbols, with the one for unknown ones; a sequence can be typed as a text.
    page.script("document.querySelector('.digit').focus()")
    page.press(Keys.ARROW_UP, Keys.ARROW_UP)
    page.wait(lambda: page.row()["tokens"][0] == 0, "the first symbol did not change")
    assert page.digits().startswith("\N{REPLACEMENT CHARACTER}bba") and "The data do not say" in page.text("verdict")
    page.find("sequence").click()
    page.find("sequence").send_keys(Keys.CONTROL, "a")
    page.driver.execute_cdp_cmd("Input.insertText", {"text": "abxab"})
    page.wait(lambda: page.row()["tokens"] == [1, 2, 1, 2], "the text was not read")
    assert page.text("sequence-told") == "Only these symbols are read: \N{REPLACEMENT CHARACTER} a b."
    assert_row_is(page.row(), model, 0)
    page.wait(lambda: "“even”" in page.text("verdict"), "its class is not told")
    assert (page.text("draw-match"), page.text("draw-other")) == ("Random odd", "Random even")
    off = ("reset", "copy-link", "save", "script")
    assert not any(page.find(name).is_enabled() for name in off) and page.find("play").is_enabled()
    assert page.setting("task") == "data" and not page.shown("set-alphabet_size") and not page.shown("families")
    page.find("heat").click()
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: page.accuracy > 0.95, "accuracy on the test did not rise")
    page.pause()
    page.wait(lambda: page.tried() == 2, "it was not tested on the whole test set")
    bars = page.script("return [...document.querySelectorAll('#accuracy .bar')].map(bar => bar.textContent)")
    assert [int(bar.split()[-2]) for bar in bars] == [2, 4, 8, 16, 32]
    for file in files:
        file.unlink()
    page.click("load")
    page.wait(lambda: "not trained" in page.text("task-told"), "the page does not say that the data are missing")
    assert not page.find("play").is_enabled() and not page.find("step").is_enabled()
    page.choose("set-task", "twin halves (123 123)")
    page.wait_for_network(task="twin-halves")
    assert page.find("play").is_enabled() and page.text("draw-match") == "Random match"


def test_a_shared_link_shows_the_same(page):
    page.open("task=palindromes&cell=gru&dim_recurrent=16&learning_rate=0.003&gradient_clip=1&seed=4&sequence=12344321")
    shown = [page.setting(name) for name in ("task", "cell", "dim_recurrent", "learning_rate", "gradient_clip", "seed")]
    assert shown == ["palindromes (123 321)", "GRU", "16", "0.003", "1", "4"]
    assert page.digits() == "12344321"
    row = page.row()
    page.choose("set-optimizer", "SGD")
    page.wait_until_ready()
    page.type("5", 7)
    link = page.driver.current_url
    assert "optimizer=sgd" in link and "learning_rate=0.03" in link and link.endswith("sequence=12344325")
    tab = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.driver.get(link)
        page.wait_until_ready()
        assert (page.setting("optimizer"), page.setting("cell"), page.digits()) == ("SGD", "GRU", "12344325")
        page.type("1", 7)
        assert page.row()["values"] == row["values"]
    finally:
        page.driver.close()
        page.driver.switch_to.window(tab)


def test_a_link_is_followed_in_a_tab_with_an_earlier_network(page):
    page.open(f"{SHORT}&dim_recurrent=8")
    page.step()
    page.open(f"{SHORT}&cell=gru&dim_recurrent=8&sequence=4242")
    page.wait_for_network(cell="gru", dim_recurrent=8)
    assert (page.setting("cell"), page.digits()) == ("GRU", "4242")
    page.step()
    # A page that is reloaded keeps its network.
    page.driver.refresh()
    page.wait_until_ready()
    assert (page.network()["cell"], page.iteration, page.digits()) == ("gru", 1, "4242")


@pytest.mark.parametrize(
    "wrong", ["cell=transformer", "learning_rate=fast", "pattern_length_min=9&pattern_length_max=2"]
)
def test_an_invalid_link_is_reported(page, wrong):
    page.open(f"{wrong}&sequence=4242")
    assert page.text("toast")
    assert (page.setting("cell"), page.digits()) == ("RNN, ReLU", "4242")
    assert wrong not in page.driver.current_url
    page.step()


def test_a_lost_connection_is_restored_to_the_same_network(page):
    page.open(SHORT)
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: page.iteration > 500, "it did not train")
    page.pause()
    done, row = page.iteration, page.row()
    page.script("window.lost = 0; window.playground.connection.on('lost', () => { window.lost += 1; })")
    page.script("window.playground.connection.socket.close()")
    page.wait(lambda: page.script("return window.lost") == 1, "the connection was not lost")
    page.wait_until_ready()
    assert (page.iteration, page.row()["values"]) == (done, row["values"])
    page.step()
    assert page.iteration == done + 1


def test_a_restarted_server_can_be_used_again(serve_playground):
    page = serve_playground()
    page.open(f"{SHORT}&dim_recurrent=8&sequence=4242")
    page.server.stop()
    page.wait(lambda: "server was stopped" in page.text("banner"), "the end was not told")
    lost = "window.lost = 0; window.playground.connection.on('lost', () => { window.lost += 1; })"
    page.script(lost)
    page.wait(lambda: page.script("return window.lost") > 1, "it did not try again")
    # It is shown in one place, and stays there.
    assert "server was stopped" in page.text("banner") and not page.shown("toast")
    page.server.start()
    page.wait_until_ready()
    assert "This is a new one" in page.text("toast")
    assert (page.setting("dim_recurrent"), page.digits()) == ("8", "4242")
    page.step()
    assert page.iteration == 1


def test_the_exported_script_gives_the_same_numbers(page):
    page.open(f"{SHORT}&sequence=123123")
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: page.iteration > 1000, "it did not train")
    page.pause()
    page.click("script")
    path = page.downloaded("playground.py")
    told = "\nimport json\nseen = myrnn.inspect(model, '123123', 1)\n" + (
        "print(json.dumps([int(history.iteration[-1]), seen.loss, seen.states['h'].ravel().tolist()]))\n"
    )
    path.write_text(path.read_text() + told)
    printed = subprocess.run([sys.executable, path.name], cwd=path.parent, check=True, capture_output=True, text=True)
    iteration, loss, states = json.loads(printed.stdout.splitlines()[-1])
    row = page.row()
    assert iteration == page.iteration
    assert loss == row["loss"]
    assert np.float32(states).tolist() == row["values"]


@pytest.mark.parametrize(("form", "begin"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_a_figure_is_downloaded(page, form, begin):
    page.open(SHORT)
    page.choose("figure", "hidden states")
    page.choose("format", form)
    page.click("download")
    assert page.downloaded(f"states.{form}").read_bytes().startswith(begin)


def test_a_pinned_network_is_compared_with_another(page):
    page.open(f"{SHORT}&sequence=123123")
    page.step()
    values = page.row()["values"]
    page.click("pin")
    page.wait(lambda: page.shown("pinned-label"), "it was not pinned")
    # Immediately: a network of the first choice must not replace that of the second.
    page.choose("set-cell", "GRU")
    page.choose("set-dim_recurrent", "16")
    page.wait_for_network(cell="gru", dim_recurrent=16)
    assert (page.setting("cell"), page.setting("dim_recurrent")) == ("GRU", "16")
    page.wait(lambda: page.shown("heat-pinned"), "the pinned network does not read the sequence")
    pinned = page.row()["pinned"]
    assert (pinned["iteration"], pinned["tokens"]) == (1, [1, 2, 3, 1, 2, 3])
    assert page.row()["values"] != values
    assert "twin halves, RNN, ReLU, 50 units, Adam 0.001, " in page.text("pinned-label")
    page.click("pin")
    page.wait(lambda: not page.shown("pinned-label"), "it was not unpinned")


def test_a_click_shows_a_mistake_in_the_row(page):
    page.open(SHORT)
    page.click("card-mistakes")
    page.wait(lambda: page.driver.find_elements(By.CLASS_NAME, "mistake"), "no mistakes were found")
    mistake = page.driver.find_element(By.CLASS_NAME, "mistake")
    digits = "".join(mistake.find_element(By.CLASS_NAME, "sequence").text.split())
    page.click_on(mistake)
    page.wait(lambda: "".join(map(str, page.row()["tokens"])) == digits, "the row does not show it")
    assert "wrong" in page.text("verdict")


@pytest.mark.parametrize("question", range(4))
def test_every_question_of_the_tour_has_a_visible_answer(page, question):
    page.open()
    page.click("tour-open")
    page.driver.find_elements(By.CSS_SELECTOR, "#tour .stops button")[question].click()
    page.wait_until_ready()
    labels = ["Play"] if question < 3 else ["Play", "Pin it, train an LSTM"]
    for label in labels:
        if question == 1:
            page.click("play")  # the button in the header works, too
        else:
            page.driver.find_element(By.XPATH, f"//div[@class='acts']/button[text()='{label}']").click()
        page.wait(lambda: "seen" in page.find("tour-end").get_attribute("class"), "nothing was seen")
        assert "…" not in page.text("tour-end")
    page.press(Keys.ESCAPE)
    assert not page.shown("tour")


def test_a_notice_covers_no_button(page):
    page.open(SHORT)
    for width in (390, 800, 1280):
        page.resize(width, 900)
        page.script("window.playground.transport.rest('a notice')")
        assert page.text("banner") == "a notice"
        assert page.box("banner")["top"] >= page.script("return document.querySelector('.top').offsetHeight")


def test_the_tour_is_on_the_screen_next_to_its_subject(page):
    def both_in_view(card):
        tour, shown = page.box("tour"), page.box(card)
        beside = tour["bottom"] <= shown["top"] or tour["right"] <= shown["left"]
        return page.in_view("tour") and page.in_view(card, 200) and (beside or tour["top"] >= shown["top"] + 200)

    page.open(SHORT)
    page.click("tour-open")
    for width in (390, 800, 1000, 1280):
        page.resize(width, 900)
        for question, card in [(0, "card-accuracy"), (2, "card-mistakes")]:
            page.driver.find_elements(By.CSS_SELECTOR, "#tour .stops button")[question].click()
            page.wait(lambda card=card: both_in_view(card), f"at {width} pixels, {card} or the tour is out of view")
    page.press(Keys.ESCAPE)


def test_the_users_network_returns_after_the_tour(page):
    page.open(f"{SHORT}&cell=gru&dim_recurrent=8&sequence=4242")
    page.step()
    page.click("pin")
    page.wait(lambda: page.shown("pinned-label"), "it was not pinned")
    page.wait_for_network(cell="gru", dim_recurrent=8)
    page.step()
    values, speed = page.row()["values"], page.text("speed-told")
    page.click("tour-open")
    page.wait_for_network(cell="rnn-relu", dim_recurrent=50)
    assert not page.shown("pinned-label") and "comes back" in page.text("tour")
    page.driver.find_elements(By.CSS_SELECTOR, "#tour .stops button")[3].click()
    page.wait_for_network(cell="rnn-tanh")
    page.press(Keys.ESCAPE)
    page.wait(lambda: page.network().get("cell") == "gru" and page.iteration == 1, "the network did not come back")
    page.wait(lambda: page.row()["values"] == values, "it is another network")
    assert (page.digits(), page.text("speed-told"), page.setting("dim_recurrent")) == ("4242", speed, "8")
    assert page.shown("pinned-label")
    # Also if the page is reloaded in the middle of it.
    page.click("tour-open")
    page.wait_for_network(cell="rnn-relu", dim_recurrent=50)
    page.driver.refresh()
    page.wait(lambda: page.network().get("cell") == "gru" and page.iteration == 1, "the network did not come back")


def test_the_weights_of_a_unit_stay_with_every_network(page):
    page.open(f"{SHORT}&dim_recurrent=8&sequence=123123")
    page.script("document.getElementById('heat').focus()")
    bars = lambda: len(page.driver.find_elements(By.CSS_SELECTOR, "#unit figure:last-child rect"))  # noqa: E731
    page.wait(lambda: bars() == 8, "the weights did not come")
    acts = [lambda: page.click("reset"), lambda: page.click("pin"), lambda: page.choose("set-seed", "1")]
    for act in acts:
        page.script("document.getElementById('unit').replaceChildren()")
        page.step()
        act()
        page.wait(lambda: page.iteration == 0 and not page.shown("banner"), "there is no new network")
        page.wait(lambda: bars() == 8, "the weights did not come back")
    page.choose("set-dim_recurrent", "4")
    page.wait(lambda: bars() == 4, "they are not those of the smaller network")


def test_the_state_that_is_shown_is_named(page):
    page.open(f"{SHORT}&cell=lstm&dim_recurrent=8")
    for state, name in [("c", "cell state c"), ("h", "hidden state h")]:
        page.choose("state", state)
        page.wait(lambda name=name: page.text("state-label") == name, f"it is not called {name}")
        assert page.find("heat").get_attribute("aria-label").startswith(name)


def test_the_graph_is_only_offered_as_svg(page):
    page.open(SHORT)
    page.choose("format", "png")
    page.choose("figure", "graph")
    assert page.script("return document.getElementById('format').value") == "svg"
    assert page.script("return document.querySelector('#format option:last-child').disabled")
    page.choose("figure", "training")
    page.choose("format", "png")


def test_a_link_pasted_into_an_open_page_is_followed(page):
    page.open(SHORT)
    page.step()
    page.script("location.hash = 'pattern_length_max=3&sequence=4242'")
    page.wait(lambda: page.row()["tokens"] == [4, 2, 4, 2], "the sequence of the link was lost")
    assert page.iteration == 1
    page.script("location.hash = 'pattern_length_max=3&seed=2&sequence=567567'")
    page.wait_for_network(seed=2)
    page.wait(lambda: page.row()["tokens"] == [5, 6, 7, 5, 6, 7], "the sequence of the link was lost")


@pytest.mark.parametrize(
    ("typed", "settings", "read", "told"),
    [
        ("123123", "", "123123", ""),
        ("12 34, 12 34", "", "12341234", ""),
        ("\uff14\uff1242", "", "4242", ""),
        ("12x3-12y3", "", "123123", "Only these symbols are read: 0 1 2 3 4 5 6 7 8 9."),
        ("0120", "&alphabet_size=2", "010", "Only these symbols are read: 0 1."),
        ("1" * 90, "", "1" * 80, "Only the first 80 symbols are read."),
        ("abc", "", "27182718", "Only these symbols are read: 0 1 2 3 4 5 6 7 8 9. Type at least one symbol."),
    ],
)
def test_a_sequence_can_be_typed_or_pasted_as_text(page, typed, settings, read, told):
    page.open(f"{SHORT}{settings}" + ("&sequence=0101" if settings else ""))
    field = page.find("sequence")
    assert field.get_attribute("inputmode") == "numeric"
    field.click()
    field.send_keys(Keys.CONTROL, "a")
    page.driver.execute_cdp_cmd("Input.insertText", {"text": typed})
    page.wait(lambda: "".join(map(str, page.row()["tokens"])) == read, "it was not read")
    assert field.get_attribute("value") == typed
    assert page.text("sequence-told") == told
    page.find("heat").click()
    assert (field.get_attribute("value"), page.text("sequence-told"), page.digits()) == (read, "", read)


def test_task_and_colours_are_explained(page):
    page.open(f"{SHORT}&cell=rnn-tanh")
    assert page.text("task-told").startswith("The task: is the second half the same as the first?")
    most = np.abs(page.row()["values"]).max()
    ends = [float(page.text(f"heat-{end}").replace("\N{MINUS SIGN}", "-")) for end in ("low", "high")]
    assert ends == pytest.approx([-most, most], rel=0.01)
    colours = page.script(
        """
        const kinds = ['#legends .yes', '#legends .no', '.probability .yes', '.probability .no'];
        return kinds.map(kind => getComputedStyle(document.querySelector(kind)).backgroundColor);
        """
    )
    assert colours[:2] == colours[2:]
    page.choose("set-task", "palindromes (123 321)")
    page.wait(lambda: "backwards" in page.text("task-told"), "the task is not told")


def test_no_label_covers_another_or_the_drawing(page):
    page.open(f"{SHORT}&dim_recurrent=16")
    page.wait(lambda: page.accuracy > 0, "there are no bars")
    # All answers right, and eigenvalues of size 1 in all but one of the directions where a label could be.
    page.script(
        """
        const {connection} = playground, angles = Array.from({length: 32}, (_, i) => 2 * Math.PI * i / 32).slice(2);
        const name = 'fc_h2h.weight', one = {name, real: angles.map(Math.cos), imaginary: angles.map(Math.sin)};
        const {settings, task} = playground;
        connection.tell('network', {settings, task, off: {}, eigenvalues: [one]});
        connection.tell('eigenvalues', {matrices: [one]});
        connection.tell('curve', {first: 0, width: 1, loss: Array(40).fill(2.9), accuracy: Array(40).fill(1)});
        """
    )
    page.frames()
    assert page.script((HERE / "labels.js").read_text()) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_parts_of_graphics_stand_out(page, theme):
    page.open(f"{SHORT}&sequence=123123")
    page.resize(1280, 4000, theme)
    page.step()
    page.click("pin")
    page.wait(lambda: page.shown("pinned-label"), "it was not pinned")
    page.wait_for_network(seed=0)
    page.step()
    page.click("tour-open")
    page.wait_for_network(pattern_length_max=3)
    page.press(Keys.ESCAPE)
    page.wait(lambda: page.iteration == 1, "the network did not come back")
    page.click("shortcuts")
    page.script("document.getElementById('heat').focus()")
    page.wait(lambda: page.driver.find_elements(By.CLASS_NAME, "mistake"), "no mistakes were found")
    page.wait(lambda: page.driver.find_elements(By.CSS_SELECTOR, ".line.cut"), "no shortcuts were found")
    page.wait(lambda: "fc_h2h" in page.text("unit"), "the weights did not come")
    for width in (1280, 400):
        page.resize(width, 4000, theme)
        page.frames()
        assert page.script((HERE / "contrast.js").read_text()) == []


def test_all_controls_can_be_reached_by_keyboard(page):
    page.open(f"{SHORT}&sequence=123123")
    page.press(" ")
    page.wait(lambda: page.playing, "the space bar did not start it")
    page.press(" ")
    page.wait(lambda: not page.playing, "the space bar did not pause it")
    # Also where it would scroll the page or type a digit.
    page.script("window.addEventListener('keydown', event => { window.scrolls = !event.defaultPrevented; })")
    for name in (".digit", "#heat"):
        page.script(f"document.querySelector('{name}').focus()")
        for plays in (True, False):
            page.press(" ")
            page.wait(lambda plays=plays: page.playing == plays, "the space bar did nothing")
            assert not page.script("return window.scrolls")
    assert page.digits() == "123123"
    page.resize(390, 900)
    fold = page.driver.find_element(By.TAG_NAME, "summary")
    page.wait(lambda: fold.is_displayed() and not page.shown("settings"), "the settings were not folded")
    page.script("arguments[0].focus()", fold)
    page.press(" ")
    page.wait(lambda: page.shown("settings"), "the space bar did not unfold the settings")
    assert not page.playing
    page.resize(1280, 900)
    page.script("document.getElementById('follow').focus()")
    # All digits are one tab stop; the colours are the next.
    page.press(Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("aria-label") == "symbol 1"
    page.press(Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("id") == "heat"
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    value = np.reshape(page.row()["values"], (6, 50))[1, 2]
    page.wait(lambda: "fc_h2h" in page.text("unit"), "the weights did not come")
    told = re.match(r"Unit 2 of h is (\S+) after step 2, symbol 2", page.text("unit"))
    # The page shows three digits, and two for numbers below a thousandth.
    assert told and float(told[1]) == float(f"{value:.3g}" if value >= 1e-3 else f"{value:.2g}")


def test_every_control_has_a_description(page):
    page.open()
    page.click("tour-open")
    nameless = page.script(
        """
        const names = node => node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.length;
        const controls = [...document.querySelectorAll('button, select, input, [role=spinbutton]')];
        const hidden = node => node.closest('[hidden]') !== null;
        return [
            controls.filter(node => !hidden(node) && !names(node)).map(node => node.outerHTML),
            [...document.querySelectorAll('main button[id], .top button, select, input')]
                .filter(node => !node.dataset.hint || !node.title).map(node => node.outerHTML),
        ];
        """
    )
    assert nameless == [[], []]
    page.script("document.getElementById('set-gradient_clip').focus()")
    assert page.text("hint").startswith("The largest norm of the gradient.")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280, 1920, 3840])
def test_nothing_is_wider_than_the_page(page, width, theme):
    page.open("sequence=31415926535897932384626433832795")
    page.resize(width, 900, theme)
    page.wait(lambda: page.script("return window.innerWidth") == width, "it has another width")
    # Without the scroll bar, whose width depends on the browser.
    room = page.script("return document.documentElement.clientWidth")
    edges = "[...document.querySelectorAll('.card, .top, .side')].map(part => part.getBoundingClientRect().right)"
    page.wait(lambda: page.script(f"return Math.max(...{edges})") <= room, "something reaches beyond the page")
    assert page.script("return document.documentElement.scrollWidth") == room
    background = page.script("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(243, 245, 248)", "dark": "rgb(14, 19, 25)"}[theme]


def test_a_user_defined_class_is_used_in_the_playground(serve_playground, tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    page = serve_playground("--model", "mine.py:Mine")
    page.open(f"{SHORT}&cell=own&dim_recurrent=8")
    assert page.setting("cell") == "Mine"
    page.step()
    assert "h = tanh(x @ fc_x2h.weight + fc_x2h.bias + h @ fc_h2h.weight + fc_h2h.bias)" in page.text("equations")
    values = page.row()["values"]
    page.click("save")
    page.wait(lambda: page.text("kept").startswith("Saved in runs/"), "it was not saved")
    assert page.text("kept").endswith(" --model mine.py:Mine")
    page.click("reset")
    page.wait(lambda: page.iteration == 0 and not page.shown("banner"), "it did not start over")
    page.click("load")
    page.scroll_to("card-row")
    page.wait(lambda: page.iteration == 1 and not page.shown("banner"), "the run was not loaded")
    page.wait(lambda: page.row()["values"] == values, "it is not the network that was saved")


def test_at_low_speed_the_row_follows_the_training(page):
    page.open(SHORT)
    page.click("follow")
    assert page.text("speed-told") == "3 a second"
    before = page.digits()
    page.click("play")
    page.wait(lambda: page.iteration >= 2 and page.digits() != before, "the row did not follow")
    page.pause()
    (learned,) = page.texts("#last button")
    page.wait(lambda: page.digits() == learned, "the row shows another sequence")


def test_answers_at_every_step_are_below_the_symbols(page):
    page.open(SHORT)
    page.choose("set-task", "running parity (1011)")
    page.wait_for_network(task="running-parity")
    assert not any(page.shown(f"card-{name}") for name in ("mistakes", "gradient", "text"))
    assert page.shown("draw-any") and not page.shown("draw-match")
    page.find("sequence").click()
    page.find("sequence").send_keys(Keys.CONTROL, "a")
    page.driver.execute_cdp_cmd("Input.insertText", {"text": "1011"})
    page.wait(lambda: page.row()["tokens"] == [1, 0, 1, 1], "the text was not read")
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: page.accuracy > 0.95, "accuracy over steps did not rise")
    page.pause()
    page.wait(lambda: page.text("verdict").startswith("✓ 4 of 4 answers right"), "not all answers are right")
    assert page.texts(".step .answer") == 2 * ["odd"] + 2 * ["odd"] + 2 * ["even"] + 2 * ["odd"]
    assert len(page.driver.find_elements(By.CSS_SELECTOR, ".probability .right")) == 4


def test_a_network_writes_while_it_learns_a_text(page):
    page.open("task=next-character&length_max=10")
    assert page.digits().isprintable() and len(page.row()["tokens"]) > 5
    page.scroll_to("card-text")
    page.wait(lambda: len(page.text("text")) > 200, "nothing was written")
    before = page.text("text")
    page.click("play")
    page.wait(lambda: page.text("text") != before and page.accuracy > 0.3, "it did not learn to write")
    page.pause()
    begin = "".join(page.script("return playground.spell(playground.tokens)").split())
    written = lambda: ["".join(text.split())[: len(begin)] for text in page.texts("#text dd")]  # noqa: E731
    page.wait(lambda: written() == [begin, begin], "the text does not begin with the row")
