"""What `/openapi.json` says holds: schemathesis asks each route of a running service, well and badly."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.service import Running

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance"
CHECKS += ",response_schema_conformance"
# LangServe's bodies hold LangChain's messages, each of which takes schemathesis half a second to make up.
EXAMPLES = {"^/(?!router/|chat/)": 12, "^/(router|chat)/": 2}
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # sentence-transformers and torch load in a thread; their own deprecations are not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.mark.parametrize("paths", EXAMPLES, ids=["ours", "LangServe's"])
async def test_every_answer_is_as_documented(running: Running, tmp_path: Path, paths: str) -> None:
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "schemathesis",
        *("run", f"{running.base_url}/openapi.json", "--include-path-regex", paths, "--checks", CHECKS),
        *("--phases", "examples,fuzzing", "--max-examples", str(EXAMPLES[paths]), "--mode", "all"),
        *("--generation-deterministic", "--no-shrink", "--no-color", "--warnings", "off"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"No issues found" in said


async def test_bodies_answers_and_errors_are_told_for_every_route(running: Running) -> None:
    document = (await running.http.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            assert {"4XX", "5XX"} <= answers.keys(), path
            assert "422" not in answers, path
            assert ("requestBody" in operation) == (method == "post"), path
            (success,) = {"200", "202"} & answers.keys()
            for content in answers[success]["content"].values():
                assert "schema" in content, path
