"""What a notebook says of itself in the first hour."""

SETUP = """
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("cells")
endpoint.serve()
"""
NOTICE = "cells.{0} is still there, though this cell no longer registers it: endpoint['{0}'].remove() ends it\n"


def register(*names: str) -> str:
    return "\n".join(f"@endpoint.register\ndef {name}() -> int:\n    return 1\n" for name in names)


def test_a_method_that_falls_out_of_a_cell_is_named_once(kernel):
    kernel.run(SETUP)
    assert kernel.run_as("one", register("add", "take")) == "cells.add v1\ncells.take v1\n"
    # Renamed: the old one serves on, and that is said under the cell that had it.
    assert kernel.run_as("one", register("plus", "take")) == f"cells.plus v1\n{NOTICE.format('add')}"
    assert kernel.run_as("one", register("plus", "take")) == ""
    # Moved to another cell, changed or not: that one has it now.
    assert kernel.run_as("two", register("take")) == ""
    assert kernel.run_as("one", register("plus")) == ""
    # All of it left out, and a cell that fails leaves nothing out.
    try:
        kernel.run_as("one", "1 / 0")
    except AssertionError as error:
        assert "ZeroDivisionError" in str(error)
    assert kernel.run_as("one", "pass") == NOTICE.format("plus")
    assert kernel.run("endpoint['add'].remove()") == "cells.add v1 removed\n"
    assert kernel.run("print(list(endpoint))") == "['plus', 'take']\n"


def test_published_early_it_is_of_its_cell_all_the_same(kernel):
    kernel.run(SETUP)
    kernel.run_as("one", f"{register('add')}\nendpoint.commit()")
    assert kernel.run_as("one", f"{register('plus')}\nendpoint.commit()") == NOTICE.format("add")


def test_without_the_extra_the_text_says_what_brings_the_live_view(kernel):
    kernel.run(SETUP)
    text = kernel.run(
        """
        import importlib.util
        find_spec = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *more: None if name == "anywidget" else find_spec(name, *more)
        forms = endpoint._repr_mimebundle_()
        for kind in ("text/plain", "text/html"):
            form = forms[kind]
            print(kind, form.count("pip install"), "pycrust[notebook]" in form, "cells" in form)
        importlib.util.find_spec = find_spec
        data, _ = endpoint._repr_mimebundle_()
        print("pip install" in str(data))
        """
    )
    assert text == "text/plain 1 True True\ntext/html 1 True True\nFalse\n"
