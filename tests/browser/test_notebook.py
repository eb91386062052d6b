"""The output that a user of JupyterLab sees."""

SETUP = """
import mygrad, myrnn
from myrnn import RNN, Adam, create_plot, tasks
task = tasks.TwinHalves(1, 10)
model = RNN(10, 50, 2, rng=0)
optimizer = Adam(model.parameters)
"""
# Compiled code is cached; the first time, a line says that it takes a while.
WARM = (
    SETUP
    + """
myrnn.train(model, task, optimizer, 10, progress=False)
myrnn.evaluate(model, task, 100, progress=False)
"""
)
PLOT = 'plotter, fig, ax = create_plot(["loss", "accuracy"])'


def kinds(outputs):
    """The kinds of outputs; for text, such as an error, the text itself."""
    return [kind if kind in ("picture", "svg") else text for kind, text in outputs]


def test_a_training_of_a_few_seconds_draws_its_curve_as_it_grows(open_lab):
    page = open_lab([WARM, PLOT, "history = myrnn.train(model, task, optimizer, 400_000, hooks=[plotter])"])
    page.run(0)
    page.run(1)
    page.watch(1, while_runs=2)
    page.run(2)
    assert len(set(page.pictures_seen(while_running=True))) >= 4  # the empty axes, and lines that grow
    last = page.pictures_seen()[-1]
    assert last not in page.pictures_seen()[:-1]  # the whole curve
    assert kinds(page.outputs(1)) == ["picture"]
    assert [list(output["data"]) for output in page.saved_outputs(1)] == [["image/png", "text/plain"]]
    ((_, progress),) = page.outputs(2)
    assert "400,000/400,000" in progress
    assert page.count_in(2, 'progress[value="400000"][max="400000"]') == 1
    loss, accuracy = (line.split() for line in progress.splitlines()[-1].split("   "))
    assert (loss[0], accuracy[0]) == ("loss", "accuracy")
    assert set(loss[2]) <= set("▁▂▃▄▅▆▇█")


STOPPED = """
class Stop:
    def on_report(self, report):
        if report.iteration == 1_000:
            raise KeyboardInterrupt

myrnn.train(model, task, optimizer, 10_000, engine="mygrad", report_every=20, hooks=[plotter, Stop()])
"""


def test_a_slow_training_is_drawn_until_it_is_stopped(open_lab):
    page = open_lab([SETUP + PLOT + STOPPED])
    page.watch(0, while_runs=0)
    page.run(0)
    assert len(set(page.pictures_seen(while_running=True))) >= 4
    plot, progress, error = kinds(page.outputs(0))
    assert plot == "picture"
    assert "1,000/10,000" in progress
    assert error.startswith("----") and "KeyboardInterrupt" in error


def test_two_trainings_share_one_picture(open_lab):
    train = "history = myrnn.train(model, task, optimizer, 2_000, hooks=[plotter])"
    page = open_lab([WARM, PLOT, train, "plotter.train_metrics['loss']['epoch_domain'][-1]"])
    for number in (0, 1, 2, 2, 3):
        page.run(number)
    assert kinds(page.outputs(1)) == ["picture"]
    assert len(page.outputs(2)) == 1
    assert "4000.0" in page.outputs(3)[0][1]


def test_graphs_and_figures_show_once(open_lab):
    loss = "x, y = task.sample(1, np.random.default_rng(0))[0]\n"
    loss += "loss = mygrad.nnet.losses.softmax_crossentropy(model(x), y)\n"
    page = open_lab(
        [
            WARM + "import numpy as np\n",
            "history = myrnn.train(model, task, optimizer, 2_000, progress=False)",
            loss + "myrnn.build_graph(loss)",
            "report = myrnn.evaluate(model, task, 2_000, progress=False)\nax = report.plot()",
            "axes = history.plot()",
        ]
    )
    for number in range(5):
        page.run(number)
    assert page.outputs(1) == []
    assert kinds(page.outputs(2)) == ["svg"]
    assert kinds(page.outputs(3)) == ["picture"]
    assert kinds(page.outputs(4)) == ["picture"]


def test_progress_is_readable_on_a_dark_page(open_lab):
    page = open_lab([WARM, PLOT, "history = myrnn.train(model, task, optimizer, 5_000, hooks=[plotter])"], "dark")
    for number in range(3):
        page.run(number)
    text, ground = page.colors(2)
    assert min(text) - max(ground) > 100  # light on dark
