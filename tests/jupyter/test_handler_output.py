"""In a notebook, what handlers print and display goes to the record of their call, whatever cell runs."""

import pytest

SETUP = """
import asyncio, logging, sys, warnings
from IPython.display import HTML, clear_output, display
from pycrust import RpcClient, RpcEndpoint

endpoint = RpcEndpoint("kernel-output")
logging.basicConfig(format="%(message)s")

@endpoint.register
def talk(word: str) -> str:
    print("printed", word)
    print("wrong", word, file=sys.stderr)
    logging.error("logged %s", word)
    warnings.warn("warned " + word)
    display(HTML("<b>" + word + "</b>"))
    clear_output()
    return word

@endpoint.register
async def talk_later(word: str) -> str:
    print("before", word)
    await asyncio.sleep(0.01)
    display({"image/png": b"123", "text/plain": word}, raw=True)
    return word

@endpoint.register(loop="kernel")
async def talk_here(word: str) -> str:
    print("here", word)
    return word

@endpoint.register
def ask() -> str:
    return input("? ")

endpoint.serve()
client = RpcClient("kernel-output")
"""
WORDS = ("printed", "wrong", "logged", "warned", "<b>", "before", "here")


@pytest.fixture
def talking(kernel):
    kernel.run(SETUP)
    return kernel


def last(kernel, method: str, what: str) -> str:
    return kernel.run(f"print(endpoint.traffic({method!r})[-1].{what})")


def test_no_cell_shows_what_a_handler_prints(talking):
    text = talking.run(
        """
        print("mine 1")
        client.call("talk", "a")
        client.call("talk_later", "a")
        print("mine 2")
        """
    )
    assert text == "mine 1\nmine 2\n"
    output = last(talking, "talk", "output")
    assert output.startswith("printed a\nwrong a\nlogged a\n")
    assert "warned a" in output
    assert "'text/html': '<b>a</b>'" in last(talking, "talk", "displayed")
    assert last(talking, "talk_later", "output") == "before a\n\n"
    assert "'image/png': 'MTIz'" in last(talking, "talk_later", "displayed")
    assert talking.run("print('mine 3'); display('shown')") == "mine 3\n"


def test_a_cells_capture_takes_its_own_output_only(talking):
    text = talking.run(
        """
        import contextlib, io
        from IPython.utils.capture import capture_output
        with capture_output() as taken:
            print("mine")
            display("shown")
            client.call("talk", "a")
        redirected = io.StringIO()
        with contextlib.redirect_stdout(redirected):
            client.call("talk", "b")
        print([taken.stdout, len(taken.outputs), redirected.getvalue()])
        """
    )
    assert text == "['mine\\n', 1, '']\n"
    assert last(talking, "talk", "output").startswith("printed b\n")


def test_a_handler_on_the_kernels_own_loop(talking):
    text = talking.run("print(await client.acall('talk_here', 'a'))")
    assert text == "a\n"
    assert last(talking, "talk_here", "output") == "here a\n\n"


def test_a_handler_can_not_ask_while_a_cell_runs(talking):
    text = talking.run(
        """
        try:
            client.call("ask")
        except Exception as error:
            print(error)
        """
    )
    assert "input() waits for a person" in text
    assert "debug()" in text


def test_after_a_stop_everything_is_as_before(talking):
    text = talking.run(
        """
        client.close()
        endpoint.stop()
        publishers = type(get_ipython().display_pub).__mro__
        print("watched" in str(vars(sys.stdout)), any("watched" in repr(vars(one)) for one in publishers), print)
        """
    )
    assert text == "False False <built-in function print>\n"
