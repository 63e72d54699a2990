"""Batch files through `forebay run`: the SDKs' own types parse every line that it writes."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from anthropic.types.messages import MessageBatchIndividualResponse
from openai import OpenAI
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from sim import BINARY, KEY, Sim

MODEL = "sim-small"
TYPES = {
    "/v1/chat/completions": ChatCompletion,
    "/v1/responses": Response,
    "/v1/embeddings": CreateEmbeddingResponse,
}


def line(name, url, **body):
    body = {"model": MODEL, **body}
    return {"custom_id": name, "method": "POST", "url": url, "body": body}


def chat(name, text, **more):
    messages = [{"role": "user", "content": text}] if text else []
    return line(name, "/v1/chat/completions", messages=messages, **more)


def shape(value):
    """What a value is made of, without what differs each time."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return pathlib.Path(self.folder.name) / name

    def rows(self, name):
        return [json.loads(text) for text in self.path(name).read_text().splitlines()]

    def write(self, name, rows):
        self.path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def forebay(self, *arguments, code, **env):
        done = subprocess.run(
            [BINARY, "run", *arguments], cwd=self.folder.name, env=env, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, code, done.stderr)


class OpenAiBatch(Folder):
    def test_each_line_is_of_the_sdks_type(self):
        asked = [
            *(chat(f"c{n}", f"question {n}", max_tokens=20) for n in range(5)),
            chat("tools", "weather", tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}], tool_choice="required"),
            line("r", "/v1/responses", input="say hi"),
            line("e", "/v1/embeddings", input=["a", "b"], dimensions=3),
            chat("refused", ""),
        ]
        self.write("in.jsonl", asked)
        with Sim() as sim:
            where = ["--provider", "openai", "--base-url", f"{sim.url}/v1"]
            self.forebay("in.jsonl", *where, "-o", "out.jsonl", code=1, OPENAI_API_KEY=KEY)
        urls = {row["custom_id"]: row["url"] for row in asked}
        output, errors = self.rows("out.jsonl"), self.rows("out.jsonl.errors.jsonl")
        self.assertEqual([row["custom_id"] for row in output], [row["custom_id"] for row in asked[:-1]])
        self.assertEqual([row["custom_id"] for row in errors], ["refused"])
        for row in output:
            self.assertEqual(set(row), {"id", "custom_id", "response", "error"})
            self.assertEqual((row["response"]["status_code"], row["error"]), (200, None))
            self.assertTrue(row["response"]["request_id"].startswith("req_"))
            kind = TYPES[urls[row["custom_id"]]]
            parsed = kind.model_validate(row["response"]["body"], strict=True)
            self.assertEqual(parsed.model, MODEL)
        self.assertEqual((errors[0]["response"]["status_code"], errors[0]["error"]), (400, None))
        self.assertIn("message", errors[0]["response"]["body"]["error"])

    def test_the_batch_api_writes_the_same_lines(self):
        asked = [*(chat(f"c{n}", f"question {n}") for n in range(10)), chat("refused", "")]
        self.write("in.jsonl", asked)
        with Sim("--answers", "echo") as sim:
            client = OpenAI(base_url=f"{sim.url}/v1", api_key=KEY, max_retries=0)
            file = client.files.create(file=self.path("in.jsonl"), purpose="batch")
            batch = client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            while batch.status not in ("completed", "failed", "expired", "cancelled"):
                batch = client.batches.retrieve(batch.id)
            self.assertEqual(batch.status, "completed")
            theirs = [client.files.content(name).text for name in (batch.output_file_id, batch.error_file_id)]
            client.close()
            self.forebay("in.jsonl", "--base-url", f"{sim.url}/v1", "-o", "out.jsonl", code=1, OPENAI_API_KEY=KEY)
        ours = [self.rows("out.jsonl"), self.rows("out.jsonl.errors.jsonl")]
        for theirs, ours in zip(theirs, ours, strict=True):
            theirs = [json.loads(text) for text in theirs.splitlines()]
            by_id = {row["custom_id"]: row for row in theirs}
            self.assertEqual(set(by_id), {row["custom_id"] for row in ours})
            for row in ours:
                their = by_id[row["custom_id"]]
                self.assertEqual(list(row), list(their))
                self.assertEqual(shape(row), shape(their))
                said = [one["response"]["body"].get("choices") for one in (row, their)]
                self.assertEqual(*said)


class AnthropicBatch(Folder):
    def test_each_result_is_of_the_sdks_type(self):
        def ask(name, text):
            messages = [{"role": "user", "content": text}] if text else []
            return {"custom_id": name, "params": {"model": MODEL, "max_tokens": 20, "messages": messages}}

        self.write("in.jsonl", [ask("a", "one"), ask("refused", ""), ask("b", "two")])
        with Sim() as sim:
            self.forebay("in.jsonl", "--base-url", sim.url, "-o", "out.jsonl", code=1, ANTHROPIC_API_KEY=KEY)
        results = [MessageBatchIndividualResponse.model_validate(row) for row in self.rows("out.jsonl")]
        self.assertEqual([row.custom_id for row in results], ["a", "refused", "b"])
        self.assertEqual([row.result.type for row in results], ["succeeded", "errored", "succeeded"])
        self.assertEqual(results[0].result.message.role, "assistant")
        self.assertEqual(results[1].result.error.error.type, "invalid_request_error")


if __name__ == "__main__":
    unittest.main()
