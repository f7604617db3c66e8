"""Whatever a running cell does to the standard streams, a handler's output is its call's, the cell's is its own."""

import pytest

SETUP = """
import contextlib, io, logging, sys, threading, time, traceback, warnings
from concurrent.futures import ThreadPoolExecutor
from IPython.display import display
from pycrust import RpcClient, RpcEndpoint

logging.basicConfig(format="%(message)s")
log = logging.getLogger("of the handler")
endpoint = RpcEndpoint("captured")

@endpoint.register
def talk(word: str) -> str:
    print("print", word)
    sys.stdout.write(f"stdout {word}\\n")
    print("stderr", word, file=sys.stderr)
    sys.stderr.write(f"written {word}\\n")
    warnings.warn("warned " + word)
    log.error("logged %s", word)
    try:
        raise ValueError("printed " + word)
    except ValueError:
        traceback.print_exc()
    def inner():
        print("thread", word)
        sys.stderr.write(f"thread's stderr {word}\\n")
        raise KeyError("raised in a thread " + word)
    thread = threading.Thread(target=inner)
    thread.start()
    thread.join()
    try:
        raise ValueError("shown " + word)
    except ValueError:
        get_ipython().showtraceback()
        sys.excepthook(*sys.exc_info())
        sys.displayhook("result " + word)
    display("displayed " + word)
    return word

@endpoint.register
async def talk_later(word: str) -> str:
    sys.stdout.write(f"stdout {word}\\n")
    print("stderr", word, file=sys.stderr)
    return word

@endpoint.register
def redirect(word: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as own:
        print("mine", word)
        sys.stdout.write("and mine\\n")
        time.sleep(0.05)
    print("recorded", word)
    return own.getvalue()

endpoint.serve()
client = RpcClient("captured")
"""
#: All of it, in order.
EXPECTED = (
    "print {0}\n", "stdout {0}\n", "stderr {0}\n", "written {0}\n", "warned {0}\n", "logged {0}\n",
    "ValueError: printed {0}\n", "thread {0}\n", "thread's stderr {0}\n", "raised in a thread {0}",
    "shown {0}", "shown {0}",
)  # fmt: skip


@pytest.fixture
def talking(kernel):
    kernel.run(SETUP)
    return kernel


def output_of_last(kernel, method: str) -> str:
    return kernel.run(f"print(endpoint.traffic({method!r})[-1].output)")


def all_is_recorded(kernel, word: str) -> None:
    output = output_of_last(kernel, "talk")
    at = 0
    for piece in EXPECTED:
        found = output.find(piece.format(word), at)
        assert found >= 0, (piece, output)
        at = found + 1
    displayed = kernel.run("print(endpoint.traffic('talk')[-1].displayed)")
    assert f"displayed {word}" in displayed
    assert f"result {word}" in displayed


CALLS = "_ = client.call('talk', word), client.call('talk_later', word)"
#: Ways in which a cell takes its own output. Each leaves what it took in `taken`.
TAKES = {
    "redirect_stdout": """
        taken = io.StringIO()
        with contextlib.redirect_stdout(taken):
            print("of the cell")
            {calls}
        """,
    "redirect_stderr": """
        taken = io.StringIO()
        with contextlib.redirect_stderr(taken):
            print("of the cell", file=sys.stderr)
            {calls}
        """,
    "both": """
        taken = io.StringIO()
        with contextlib.redirect_stdout(taken), contextlib.redirect_stderr(taken):
            print("of the cell")
            {calls}
        """,
    "assigned": """
        before, sys.stdout, sys.stderr = (sys.stdout, sys.stderr), io.StringIO(), io.StringIO()
        taken = sys.stdout
        print("of the cell")
        {calls}
        sys.stdout, sys.stderr = before
        """,
    "capture_output": """
        from IPython.utils.capture import capture_output
        with capture_output() as all_of_it:
            print("of the cell")
            {calls}
        taken = io.StringIO(all_of_it.stdout + all_of_it.stderr + str(all_of_it.outputs or ""))
        """,
    "a logging handler made meanwhile": """
        taken = io.StringIO()
        with contextlib.redirect_stderr(taken):
            handler = logging.StreamHandler()
            log.addHandler(handler)
            log.error("of the cell")
            {calls}
        log.removeHandler(handler)
        """,
}


@pytest.mark.parametrize("way", TAKES)
def test_a_cell_that_takes_its_output_takes_only_that(talking, way):
    for word in ("a", "b"):
        talking.run(f"word = {word!r}")
        text = talking.run(TAKES[way].format(calls=CALLS))
        assert talking.run("print(repr(taken.getvalue()))") == f"{'of the cell' + chr(10)!r}\n"
        assert text in {"", "of the cell\n"}
        all_is_recorded(talking, word)
        assert output_of_last(talking, "talk_later") == f"stdout {word}\nstderr {word}\n\n"
    assert talking.run("print('shown again')") == "shown again\n"


def test_a_magic_that_captures_a_cell(talking):
    assert talking.run(f"%%capture taken\nword = 'a'\nprint('of the cell')\n{CALLS}") == ""
    assert talking.run("print(repr(taken.stdout), repr(taken.stderr), taken.outputs)") == "'of the cell\\n' '' []\n"
    all_is_recorded(talking, "a")


def test_a_cell_that_takes_nothing_shows_nothing_of_a_handler(talking):
    assert talking.run(f"word = 'a'\nprint('of the cell')\n{CALLS}") == "of the cell\n"
    all_is_recorded(talking, "a")


def test_an_output_widget_takes_nothing_of_a_handler_and_nothing_for_it(talking):
    text = talking.run(
        """
        import ipywidgets
        output = ipywidgets.Output()

        @endpoint.register
        def enter(word: str) -> str:
            with output:
                print("inside", word)
                time.sleep(0.05)
            return output.msg_id
        """
    )
    assert text == "captured.enter v1\n"
    assert talking.run("print(repr(client.call('enter', 'a')), repr(output.msg_id))") == "'' ''\n"
    assert output_of_last(talking, "enter") == "inside a\n\n"
    talking.run("word = 'b'\nwith output:\n    client.call('talk', word)")
    all_is_recorded(talking, "b")


def test_a_handler_that_redirects_takes_only_its_own_output(talking):
    text = talking.run(
        """
        pool = ThreadPoolExecutor(1)
        answer = pool.submit(client.call, "redirect", "a")
        while not answer.done():
            print("cell")
            time.sleep(0.01)
        print(repr(answer.result()))
        """
    )
    assert text.endswith("'mine a\\nand mine\\n'\n")
    assert set(text.splitlines()[:-1]) == {"cell"}
    assert output_of_last(talking, "redirect") == "recorded a\n\n"


def test_progress_bars_of_a_handler_are_its_own(talking):
    talking.run(
        """
        from tqdm import tqdm

        @endpoint.register
        def count() -> int:
            return sum(tqdm(range(3), desc="counting"))
        """
    )
    text = talking.run(
        """
        taken = io.StringIO()
        with contextlib.redirect_stderr(taken):
            client.call("count")
        print(repr(taken.getvalue()))
        """
    )
    assert text == "''\n"
    assert "counting: 100%" in output_of_last(talking, "count")


def test_sys_is_as_before_after_a_stop_and_travels_by_pickle_meanwhile(talking):
    text = talking.run(
        """
        import pickle
        try:
            print(pickle.loads(pickle.dumps(sys)) is sys)
        except TypeError as error:
            print(error)
        client.close()
        endpoint.stop()
        print(type(sys).__name__, "Writer" in str(vars(sys.stdout)), print)
        """
    )
    assert text == "True\nmodule False <built-in function print>\n"


def test_nothing_that_the_endpoint_logs_is_shown_in_a_cell(talking, tmp_path):
    lines = tmp_path / "log"
    text = talking.run(
        f"""
        logging.getLogger().setLevel(logging.INFO)
        file = logging.FileHandler({str(lines)!r})
        logging.getLogger().addHandler(file)

        @endpoint.register
        def fail() -> None:
            raise ValueError("once")

        endpoint.commit()
        for _ in range(3):
            try:
                client.call("fail")
            except Exception as error:
                print(type(error).__name__)
        client.close()
        endpoint.stop()
        """
    )
    assert text == "Unknown\nUnknown\nUnknown\nTrue"
    assert talking.run("print('next')") == "next\n"
    logged = lines.read_text()
    assert logged.count("captured.fail v1 failed for ") == 3
    assert "captured: stopped; 0 clients were let go of" in logged


DRAWS = """
import matplotlib.pyplot as plt

@endpoint.register
def draw(points: list[float]) -> list[int]:
    plt.plot(points)
    return plt.get_fignums()

@endpoint.register
async def draw_later(points: list[float]) -> list[int]:
    plt.figure()
    plt.plot(points)
    plt.figure()
    plt.plot(points)
    return plt.get_fignums()

@endpoint.register
def draw_and_show(points: list[float]) -> list[int]:
    plt.plot(points)
    plt.show()
    return plt.get_fignums()

@endpoint.register
def draw_in_steps(steps: int):
    for step in range(steps):
        plt.plot([step])
        yield plt.get_fignums()
"""


def test_figures_of_a_handler_are_kept_with_its_call(talking):
    talking.run("%matplotlib inline\n" + DRAWS)
    text, images = talking.show(
        """
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        print([client.call(name, [3, 4]) for name in ("draw", "draw_later", "draw_and_show")], plt.get_fignums())
        print(list(client.stream("draw_in_steps", 2)), plt.get_fignums(), len(axes.lines))
        """
    )
    assert text == "[[1], [1, 2], []] [1]\n[[1], [1]] [1] 1\n"
    assert len(images) == 1
    for method, count in {"draw": 1, "draw_later": 2, "draw_and_show": 1, "draw_in_steps": 2}.items():
        shown = talking.run(f"print([sorted(one['data']) for one in endpoint.traffic({method!r})[-1].displayed])")
        assert shown == f"{[['image/png', 'text/plain']] * count}\n", method
    assert talking.show("print('next')") == ("next\n", [])
