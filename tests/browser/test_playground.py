"""What somebody sees and does on the page of the playground, in a real browser."""

import json
import subprocess
import sys

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import myrnn
from myrnn.runs import load_run, save_run

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
    """The network that the page should have after so many iterations, made and trained in Python."""
    task = myrnn.tasks.TwinHalves(1, 3)
    model = cell(10, 50, 2, rng=np.random.default_rng((0, 1)))
    if iterations:
        optimizer = myrnn.Adam(model.parameters, learning_rate=0.001)
        myrnn.train(model, task, optimizer, iterations=iterations, batch_size=1, seed=0, progress=False)
    return model


def assert_row_is(row, model, truth):
    seen = myrnn.inspect(model, np.array(row["tokens"]), truth)
    np.testing.assert_allclose(row["probabilities"], seen.probabilities[:, 1], rtol=1e-5, atol=1e-7)
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


def test_a_network_that_has_diverged_has_no_bars_until_there_is_another(page):
    page.open(f"{SHORT}&optimizer=sgd&learning_rate=10")
    bars = lambda: page.driver.find_elements(By.CSS_SELECTOR, "#accuracy .bar")  # noqa: E731
    page.wait(bars, "there are no bars of an untrained network")
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: "finite" in page.text("accuracy-told"), "it is not said what is wrong with the network")
    page.wait(lambda: not bars(), "bars of before are left")
    assert np.isnan(page.accuracy)
    page.scroll_to("card-row")
    page.wait(lambda: "beyond all bounds" in page.text("verdict"), "the row shows what is no more")
    page.resize(900, 900)
    page.wait(lambda: not page.shown("heat"), "the states of before are left")
    assert "beyond all bounds" in page.text("verdict")
    page.click("reset")
    page.wait(lambda: "it says" in page.text("verdict"), "the row did not come back")
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
        page.wait(lambda done=done: page.iteration > done + 500, "it did not go on")
        assert page.playing
    assert "batch_size=4" in page.driver.current_url
    page.choose("set-seed", "1")
    page.wait_for_network(seed=1)
    assert not page.playing


def test_an_edited_sequence_shows_what_inspect_says(page):
    page.open(f"{SHORT}&sequence=121212")
    for _ in range(3):
        page.step()
    model = network_of(page, 3)
    assert_row_is(page.row(), model, 0)
    page.type("345")
    assert page.digits() == "345212"
    assert page.driver.switch_to.active_element.get_attribute("aria-label") == "digit 4"
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


def test_one_iteration_has_the_loss_of_loss_and_gradients(page):
    page.open(SHORT)
    compiled = myrnn.compile(network_of(page, 0))
    page.step()
    last = page.find("last")
    tokens = np.array([int(digit) for digit in last.find_element(By.TAG_NAME, "button").text])
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
    page.wait(lambda: page.iteration == 0 and not page.shown("banner"), "it did not begin again")
    page.choose("runs", name)
    page.click("load")
    page.scroll_to("card-row")
    page.wait(lambda: page.iteration == done and not page.shown("banner"), "the run was not loaded")
    page.wait(lambda: page.row()["values"] == row["values"], "it is not the network that was saved")
    page.step()
    assert page.iteration == done + 1


def test_of_a_run_that_no_settings_make_again_there_is_no_reset_and_no_link(page):
    task, model = myrnn.tasks.TwinHalves(1, 3), myrnn.RNN(10, 8, 2, recurrent_init="identity", rng=0)
    optimizer = myrnn.Adam(model.parameters)
    history = myrnn.train(model, task, optimizer, iterations=20, progress=False)
    save_run(page.server.folder / "runs" / "odd", task=task, model=model, optimizer=optimizer, history=history)
    page.open(SHORT)
    page.choose("runs", "odd")
    page.click("load")
    page.wait(lambda: "recurrent_init identity" in page.text("kept"), "it is not said what the run has")
    assert [page.find(name).is_enabled() for name in ("reset", "copy-link", "play")] == [False, False, True]
    page.choose("set-seed", "1")
    page.wait_for_network(seed=1)
    assert page.find("reset").is_enabled() and page.find("copy-link").is_enabled()


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
    page.driver.switch_to.new_window("tab")
    try:
        page.driver.get(link)
        page.wait_until_ready()
        assert (page.setting("optimizer"), page.setting("cell"), page.digits()) == ("SGD", "GRU", "12344325")
        page.type("1", 7)
        assert page.row()["values"] == row["values"]
    finally:
        page.driver.close()
        page.driver.switch_to.window(page.driver.window_handles[0])


@pytest.mark.parametrize(
    "wrong", ["cell=transformer", "learning_rate=fast", "pattern_length_min=9&pattern_length_max=2"]
)
def test_a_link_that_cannot_be_followed_is_told(page, wrong):
    page.open(f"{wrong}&sequence=4242")
    assert page.text("toast")
    assert (page.setting("cell"), page.digits()) == ("RNN, ReLU", "4242")
    assert wrong not in page.driver.current_url
    page.step()


def test_a_lost_connection_comes_back_to_the_same_network(page):
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


def test_a_server_that_comes_back_is_played_with_again(serve_playground):
    page = serve_playground()
    page.open(f"{SHORT}&dim_recurrent=8&sequence=4242")
    page.server.stop()
    page.wait(lambda: "was ended where it was started" in page.text("banner"), "the end was not told")
    lost = "window.lost = 0; window.playground.connection.on('lost', () => { window.lost += 1; })"
    page.script(lost)
    page.wait(lambda: page.script("return window.lost") > 1, "it did not try again")
    # It is told in one place, and stays there.
    assert "was ended where it was started" in page.text("banner") and not page.shown("toast")
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
    # At once: a network of the first choice must not take back the second.
    page.choose("set-cell", "GRU")
    page.choose("set-dim_recurrent", "16")
    page.wait_for_network(cell="gru", dim_recurrent=16)
    assert (page.setting("cell"), page.setting("dim_recurrent")) == ("GRU", "16")
    page.wait(lambda: page.shown("heat-pinned"), "the pinned network does not read the sequence")
    pinned = page.row()["pinned"]
    assert (pinned["iteration"], pinned["tokens"]) == (1, [1, 2, 3, 1, 2, 3])
    assert page.row()["values"] != values
    assert "RNN (ReLU), 50 units" in page.text("pinned-label")
    page.click("pin")
    page.wait(lambda: not page.shown("pinned-label"), "it was not let go")


def test_a_mistake_comes_into_the_row_with_a_click(page):
    page.open(SHORT)
    page.click("card-mistakes")
    page.wait(lambda: page.driver.find_elements(By.CLASS_NAME, "mistake"), "no mistakes were found")
    mistake = page.driver.find_element(By.CLASS_NAME, "mistake")
    digits = "".join(mistake.find_element(By.CLASS_NAME, "sequence").text.split())
    page.click_on(mistake)
    page.wait(lambda: "".join(map(str, page.row()["tokens"])) == digits, "it did not come into the row")
    assert "wrong" in page.text("verdict")


@pytest.mark.parametrize("question", range(4))
def test_every_question_of_the_tour_ends_in_something_seen(page, question):
    page.open()
    page.click("tour-open")
    page.driver.find_elements(By.CSS_SELECTOR, "#tour .stops button")[question].click()
    page.wait_until_ready()
    labels = ["Play"] if question < 3 else ["Play", "Pin it, train an LSTM"]
    for label in labels:
        page.driver.find_element(By.XPATH, f"//div[@class='acts']/button[text()='{label}']").click()
        page.wait(lambda: "seen" in page.find("tour-end").get_attribute("class"), "nothing was seen")
        assert "…" not in page.text("tour-end")
    page.press(Keys.ESCAPE)
    assert not page.shown("tour")


def test_the_keyboard_reaches_what_there_is_to_play_with(page):
    page.open(f"{SHORT}&sequence=123123")
    page.press(" ")
    page.wait(lambda: page.playing, "the space bar did not start it")
    page.press(" ")
    page.wait(lambda: not page.playing, "the space bar did not pause it")
    page.script("document.getElementById('follow').focus()")
    # All digits are one stop; the colours are the next.
    page.press(Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("aria-label") == "digit 1"
    page.press(Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("id") == "heat"
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    value = np.reshape(page.row()["values"], (6, 50))[1, 2]
    page.wait(lambda: "fc_h2h" in page.text("unit"), "the weights did not come")
    told = "0" if value == 0 else f"{value:.3g}"
    assert page.text("unit").startswith(f"Unit 2 of h is {told} after step 2, digit 2")


def test_every_control_says_what_it_does(page):
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
    assert page.text("hint").startswith("The longest gradient that a step may follow")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280, 1920, 3840])
def test_nothing_is_wider_than_the_page(page, width, theme):
    page.open("sequence=31415926535897932384626433832795")
    page.resize(width, 900, theme)
    page.wait(lambda: page.script("return window.innerWidth") == width, "it has another width")
    # Without the scroll bar, which is as wide as the browser makes it.
    room = page.script("return document.documentElement.clientWidth")
    edges = "[...document.querySelectorAll('.card, .top, .side')].map(part => part.getBoundingClientRect().right)"
    page.wait(lambda: page.script(f"return Math.max(...{edges})") <= room, "something reaches beyond the page")
    assert page.script("return document.documentElement.scrollWidth") == room
    background = page.script("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(243, 245, 248)", "dark": "rgb(14, 19, 25)"}[theme]


def test_a_class_of_ones_own_is_played_with(serve_playground, tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    page = serve_playground("--model", "mine.py:Mine")
    page.open(f"{SHORT}&cell=own&dim_recurrent=8")
    assert page.setting("cell") == "Mine"
    page.step()
    assert "h = tanh(x @ fc_x2h.weight + fc_x2h.bias + h @ fc_h2h.weight + fc_h2h.bias)" in page.text("equations")
    values = page.row()["values"]
    page.click("save")
    page.wait(lambda: page.text("kept").startswith("Saved in runs/"), "it was not saved")
    page.click("reset")
    page.wait(lambda: page.iteration == 0 and not page.shown("banner"), "it did not begin again")
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
    learned = page.find("last").find_element(By.TAG_NAME, "button").text
    page.wait(lambda: page.digits() == learned, "the row shows another sequence")
