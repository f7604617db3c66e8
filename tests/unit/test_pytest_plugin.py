"""The fixtures that serve an endpoint for a test, and what they cost the tests that need none."""

from __future__ import annotations

from pycrust import RpcEndpoint

pytest_plugins = ["pytester"]


def test_the_fixture_serves_a_given_endpoint(pycrust_serve):
    endpoint = RpcEndpoint("given-to-the-fixture", fresh=True)
    endpoint.register("f")(lambda: 1)
    served = pycrust_serve(endpoint)
    assert served.endpoint is endpoint
    assert served.client.call("f") == served["f"]() == 1
    assert served.serving


def test_the_fixtures_are_there_for_any_project(pytester, monkeypatch):
    monkeypatch.delenv("PYCRUST_RUNTIME_DIR")
    pytester.makepyfile(
        """
        def test_add(pycrust_endpoint):
            @pycrust_endpoint.register
            def add(a: int, b: int) -> int:
                return a + b

            assert pycrust_endpoint.client.call("add", 1, 2) == 3
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)


def test_tests_that_use_no_fixture_import_neither_the_package_nor_pydantic(pytester):
    pytester.makepyfile(
        """
        import sys


        def test_plain(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("pycrust")
            assert "pycrust_pytest" in sys.modules
            ours = [name for name in sys.modules if name.split(".")[0] in {"pycrust", "pydantic", "pydantic_core"}]
            assert ours == []
        """
    )
    # Only this project's plugin and pytest's own: what others import is theirs. Named as the entry point names it.
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:anyio")
    result.assert_outcomes(passed=1)
