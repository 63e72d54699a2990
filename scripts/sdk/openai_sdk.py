"""The official OpenAI SDK against `forebay sim`: its own typed parsing accepts everything."""

import asyncio
import base64
import json
import struct
import time
import unittest

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from sim import KEY, Sim

SAY = {"model": "sim-small", "messages": [{"role": "user", "content": "hello there"}]}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
# The same in the words of responses.
FLAT_TOOL = {"type": "function", **TOOL["function"]}


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def client(sim, kind=OpenAI, **options):
    options = {"api_key": KEY, "max_retries": 0, "_strict_response_validation": True, **options}
    return kind(base_url=f"{sim.url}/v1", **options)


class WithSim(unittest.TestCase):
    """One simulator and one client for all tests of a class."""

    FLAGS = ("--answers", "echo")

    @classmethod
    def setUpClass(cls):
        cls.sim = Sim(*cls.FLAGS)
        cls.client = client(cls.sim)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.sim.__exit__()


class Chat(WithSim):
    def test_plain(self):
        answer = self.client.chat.completions.create(**SAY)
        choice = answer.choices[0]
        self.assertEqual((choice.message.content, choice.finish_reason), ("hello there", "stop"))
        self.assertEqual((choice.message.refusal, choice.message.tool_calls), (None, None))
        usage = answer.usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (3, 3, 6))
        self.assertEqual(usage.prompt_tokens_details.cached_tokens, 0)
        self.assertEqual(usage.completion_tokens_details.reasoning_tokens, 0)
        self.assertTrue(answer._request_id.startswith("req_"))

    def test_caps_stops_and_choices(self):
        create = self.client.chat.completions.create
        cut = create(**SAY, max_completion_tokens=2)
        self.assertEqual((cut.choices[0].finish_reason, cut.choices[0].message.content), ("length", "hello th"))
        self.assertEqual(create(**SAY, stop="o t").choices[0].message.content, "hell")
        stopped = create(**SAY, stop=["xyz", "ther"]).choices[0]
        self.assertEqual((stopped.message.content, stopped.finish_reason), ("hello ", "stop"))
        three = create(**SAY, n=3)
        self.assertEqual([choice.index for choice in three.choices], [0, 1, 2])
        self.assertEqual(three.usage.completion_tokens, 9)

    def test_stream(self):
        options = {"include_usage": True}
        with self.client.chat.completions.create(**SAY, stream=True, stream_options=options) as stream:
            chunks = list(stream)
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, "hello there")
        self.assertEqual([c.choices[0].finish_reason for c in chunks if c.choices][-1], "stop")
        self.assertEqual((chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 3))
        with self.client.chat.completions.create(**SAY, stream=True) as stream:
            self.assertTrue(all(chunk.usage is None and chunk.choices for chunk in stream))

    def test_stream_helper(self):
        with self.client.chat.completions.stream(**SAY) as stream:
            text = "".join(event.delta for event in stream if event.type == "content.delta")
            whole = stream.get_final_completion()
        self.assertEqual(text, "hello there")
        self.assertEqual(whole.choices[0].message.content, "hello there")
        self.assertEqual(whole.choices[0].finish_reason, "stop")

    def test_tools(self):
        for choice in ["required", {"type": "function", "function": {"name": "weather"}}]:
            ask = {**SAY, "tools": [TOOL], "tool_choice": choice}
            whole = self.client.chat.completions.create(**ask).choices[0]
            self.assertEqual((whole.finish_reason, whole.message.content), ("tool_calls", None))
            call = whole.message.tool_calls[0]
            self.assertEqual((call.type, call.function.name), ("function", "weather"))
            arguments = json.loads(call.function.arguments)
            self.assertIn(arguments["days"], range(1, 8))
            with self.client.chat.completions.stream(**ask) as stream:
                kinds = [event.type for event in stream]
                streamed = stream.get_final_completion().choices[0]
            self.assertIn("tool_calls.function.arguments.done", kinds)
            self.assertEqual(streamed.finish_reason, "tool_calls")
            piece = streamed.message.tool_calls[0]
            self.assertEqual(json.loads(piece.function.arguments), arguments)
        plain = self.client.chat.completions.create(**SAY, tools=[TOOL], tool_choice="auto")
        self.assertEqual(plain.choices[0].message.content, "hello there")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(**SAY, tool_choice="required")
        self.assertEqual(caught.exception.param, "tool_choice")

    def test_structured_output(self):
        answer = self.client.chat.completions.parse(**SAY, response_format=Person)
        self.assertIsInstance(answer.choices[0].message.parsed, Person)
        with self.client.chat.completions.stream(**SAY, response_format=Person) as stream:
            stream.until_done()
            self.assertIsInstance(stream.get_final_completion().choices[0].message.parsed, Person)
        some = [{"role": "user", "content": "Some JSON, please"}]
        answer = self.client.chat.completions.create(
            model="sim-small", messages=some, response_format={"type": "json_object"}
        )
        self.assertIsInstance(json.loads(answer.choices[0].message.content), dict)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(**SAY, response_format={"type": "json_object"})
        self.assertIn("must contain the word 'json'", str(caught.exception))

    def test_async(self):
        async def main():
            async with client(self.sim, AsyncOpenAI) as asynchronous:
                create = asynchronous.chat.completions.create
                answers = await asyncio.gather(*(create(**SAY) for _ in range(20)))
                stream = await create(**SAY, stream=True)
                text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
                response = await asynchronous.responses.create(model="sim-small", input="x")
                embedded = await asynchronous.embeddings.create(
                    model="sim-small", input="x", encoding_format="float"
                )
            return answers, text, response, embedded

        answers, text, response, embedded = asyncio.run(main())
        self.assertEqual({a.choices[0].message.content for a in answers}, {"hello there"})
        self.assertEqual(len({answer.id for answer in answers}), 20)
        self.assertEqual((text, response.output_text, len(embedded.data)), ("hello there", "x", 1))


class Responses(WithSim):
    ASK = {"model": "sim-small", "input": "hello there"}

    def test_plain(self):
        response = self.client.responses.create(
            **self.ASK, instructions="Be brief.", metadata={"row": "1"}, temperature=0.5, store=False
        )
        self.assertEqual((response.output_text, response.status), ("hello there", "completed"))
        self.assertEqual((response.instructions, response.metadata), ("Be brief.", {"row": "1"}))
        self.assertEqual((response.temperature, response.store), (0.5, False))
        usage = response.usage
        self.assertEqual((usage.input_tokens, usage.output_tokens, usage.total_tokens), (5, 3, 8))
        self.assertEqual(usage.input_tokens_details.cached_tokens, 0)
        self.assertEqual(usage.output_tokens_details.reasoning_tokens, 0)
        self.assertIsNone(response.error or response.incomplete_details)

    def test_items_and_caps(self):
        parts = [{"type": "input_text", "text": "word " * 30}]
        items = [{"role": "developer", "content": "d"}, {"role": "user", "content": parts}]
        response = self.client.responses.create(model="m", input=items, max_output_tokens=16)
        self.assertEqual(response.status, "incomplete")
        self.assertEqual(response.incomplete_details.reason, "max_output_tokens")
        self.assertEqual(len(response.output_text), 64)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.responses.create(**self.ASK, max_output_tokens=15)
        error = caught.exception
        self.assertEqual((error.param, error.code), ("max_output_tokens", "integer_below_min_value"))

    def test_events(self):
        with self.client.responses.create(**self.ASK, stream=True) as stream:
            events = list(stream)
        self.assertEqual(
            [event.type.removeprefix("response.") for event in events],
            ["created", "in_progress", "output_item.added", "content_part.added"]
            + ["output_text.delta"] * 3
            + ["output_text.done", "content_part.done", "output_item.done", "completed"],
        )
        self.assertEqual([event.sequence_number for event in events], list(range(11)))
        self.assertEqual(events[-1].response.output_text, "hello there")
        self.assertEqual(events[-1].response.usage.output_tokens, 3)

    def test_stream_helper(self):
        with self.client.responses.stream(**self.ASK) as stream:
            text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
            whole = stream.get_final_response()
        self.assertEqual((text, whole.output_text), ("hello there", "hello there"))
        long = {**self.ASK, "input": "word " * 30}
        with self.client.responses.create(**long, max_output_tokens=16, stream=True) as stream:
            last = list(stream)[-1]
        self.assertEqual((last.type, last.response.status), ("response.incomplete", "incomplete"))

    def test_tools(self):
        ask = {**self.ASK, "tools": [FLAT_TOOL], "tool_choice": "required"}
        call = self.client.responses.create(**ask).output[0]
        self.assertEqual((call.type, call.name, call.status), ("function_call", "weather", "completed"))
        self.assertIn(json.loads(call.arguments)["days"], range(1, 8))
        with self.client.responses.stream(**ask) as stream:
            kinds = [event.type for event in stream]
            streamed = stream.get_final_response().output[0]
        self.assertEqual(streamed.arguments, call.arguments)
        self.assertIn("response.function_call_arguments.delta", kinds)
        self.assertIn("response.function_call_arguments.done", kinds)

    def test_structured_output(self):
        response = self.client.responses.parse(**self.ASK, text_format=Person)
        self.assertIsInstance(response.output_parsed, Person)


class Embeddings(WithSim):
    # The SDK asks for base64 unless told otherwise, and checks types before it decodes: the
    # strict client refuses base64 from anybody.
    def create(self, strict=False, **fields):
        with client(self.sim, _strict_response_validation=strict) as caller:
            return caller.embeddings.create(**{"model": "text-embedding-3-small", **fields})

    def test_base64_and_floats_are_the_same_vectors(self):
        texts = ["one", "two", "one"]
        whole = self.create(input=texts)
        self.assertEqual([item.index for item in whole.data], [0, 1, 2])
        vectors = [item.embedding for item in whole.data]
        self.assertEqual({len(vector) for vector in vectors}, {1536})
        self.assertEqual(vectors[0], vectors[2])
        self.assertNotEqual(vectors[0], vectors[1])
        self.assertAlmostEqual(sum(number**2 for number in vectors[0]), 1, places=5)
        self.assertEqual((whole.usage.prompt_tokens, whole.usage.total_tokens), (3, 3))
        floats = self.create(input=texts, encoding_format="float", strict=True)
        for base64_made, decimal in zip(vectors, floats.data):
            for one, other in zip(base64_made, decimal.embedding):
                self.assertAlmostEqual(one, other, places=7)

    def test_true_base64(self):
        made = self.create(input="x", encoding_format="base64", dimensions=5)
        numbers = struct.unpack("<5f", base64.b64decode(made.data[0].embedding))
        self.assertAlmostEqual(sum(number**2 for number in numbers), 1, places=5)

    def test_tokens_and_dimensions(self):
        self.assertEqual(self.create(input=[1, 2, 3]).usage.prompt_tokens, 3)
        made = self.create(input=[[1, 2], [3]], dimensions=8)
        self.assertEqual([len(item.embedding) for item in made.data], [8, 8])
        self.assertEqual(made.usage.prompt_tokens, 3)
        large = self.create(model="text-embedding-3-large", input="x")
        self.assertEqual(len(large.data[0].embedding), 3072)

    def test_what_is_too_much(self):
        for fields, words in [
            ({"input": ""}, "'$.input' is invalid"),
            ({"input": []}, "'$.input' is invalid"),
            ({"input": ["x"] * 2049}, "maximum length 2048"),
            ({"input": [[1] * 8193]}, "maximum context length is 8192 tokens"),
            ({"input": [[1] * 8000] * 38}, "max 300000 tokens per request"),
            ({"input": "x", "dimensions": 1537}, "'dimensions' = 1537"),
        ]:
            with self.subTest(words), self.assertRaises(openai.BadRequestError) as caught:
                self.create(**fields)
            self.assertIn(words, caught.exception.message)


class Models(WithSim):
    def test_models(self):
        ids = [model.id for model in self.client.models.list()]
        self.assertEqual(ids, ["sim-small", "sim-large"])
        self.assertEqual(self.client.models.retrieve("sim-small").owned_by, "forebay-sim")
        # Any model is served.
        self.assertEqual(self.client.models.retrieve("ft:some/model").id, "ft:some/model")


class Failures(unittest.TestCase):
    def test_each_status_is_its_exception(self):
        for status, kind, code in [
            (400, openai.BadRequestError, None),
            (401, openai.AuthenticationError, "invalid_api_key"),
            (403, openai.PermissionDeniedError, "unsupported_country_region_territory"),
            (404, openai.NotFoundError, "model_not_found"),
            (409, openai.ConflictError, None),
            (422, openai.UnprocessableEntityError, None),
            (429, openai.RateLimitError, "rate_limit_exceeded"),
            (500, openai.InternalServerError, None),
            (503, openai.InternalServerError, "server_is_overloaded"),
        ]:
            with self.subTest(status), Sim("--error", f"{status}=1") as sim:
                with client(sim) as caller, self.assertRaises(openai.APIStatusError) as caught:
                    caller.chat.completions.create(**SAY)
                error = caught.exception
                self.assertIs(type(error), kind)
                self.assertEqual((error.status_code, error.code), (status, code))
                self.assertTrue(error.message and error.type)
                self.assertTrue(error.request_id.startswith("req_"))

    def test_bad_keys_and_requests(self):
        with Sim() as sim:
            with client(sim, api_key="wrong") as caller:
                for call in [
                    lambda: caller.chat.completions.create(**SAY),
                    lambda: caller.responses.create(model="m", input="x"),
                    lambda: caller.embeddings.create(model="m", input="x"),
                    lambda: caller.models.list(),
                    lambda: caller.batches.list(),
                    lambda: caller.files.list(),
                ]:
                    with self.assertRaises(openai.AuthenticationError) as caught:
                        call()
                    self.assertEqual(caught.exception.code, "invalid_api_key")
            with client(sim) as caller:
                with self.assertRaises(openai.BadRequestError) as caught:
                    caller.chat.completions.create(model="m", messages=[])
                self.assertEqual((caught.exception.param, caught.exception.code), ("messages", "empty_array"))

    def test_rate_limits_are_told_in_headers(self):
        with Sim("--rpm", "2", "--tpm", "1000") as sim, client(sim) as caller:
            raw = caller.chat.completions.with_raw_response.create(**SAY, max_tokens=10)
            self.assertEqual(raw.headers["x-ratelimit-limit-requests"], "2")
            self.assertEqual(raw.headers["x-ratelimit-remaining-requests"], "1")
            self.assertRegex(raw.headers["x-ratelimit-reset-requests"], r"^(29(\.\d+)?s|30s)$")
            self.assertEqual(raw.headers["x-ratelimit-limit-tokens"], "1000")
            caller.responses.create(model="m", input="x")
            with self.assertRaises(openai.RateLimitError) as caught:
                caller.embeddings.create(model="m", input="x")
            error = caught.exception
            self.assertEqual((error.code, error.type), ("rate_limit_exceeded", "requests"))
            self.assertIn("Limit 2, Used 2, Requested 1. Please try again in ", error.message)
            self.assertEqual(error.response.headers["x-ratelimit-remaining-requests"], "0")
            self.assertGreater(int(error.response.headers["retry-after-ms"]), 0)

    def test_the_sdk_waits_as_told_and_tries_again(self):
        # One request a second: the wait that is told is shorter than the SDK's own steps.
        with Sim("--rps", "1") as sim, client(sim, max_retries=2) as caller:
            caller.chat.completions.create(**SAY)
            begun = time.monotonic()
            raw = caller.chat.completions.with_raw_response.create(**SAY)
            self.assertGreater(raw.retries_taken, 0)
            self.assertGreater(time.monotonic() - begun, 0.5)

    def test_a_cut_answer_is_no_answer(self):
        with Sim("--cut", "1") as sim, client(sim) as caller:
            with self.assertRaises(openai.APIConnectionError):
                caller.chat.completions.create(**SAY)
            with self.assertRaises(Exception):
                with caller.chat.completions.create(**SAY, stream=True) as stream:
                    list(stream)


class Faults(WithSim):
    """Faults by the model's name; `forebay sim --list-faults` lists them."""

    def chat(self, fault, **fields):
        ask = {**SAY, "model": f"sim/fault-{fault}", **fields}
        return self.client.chat.completions.create(**ask)

    def respond(self, fault, **fields):
        return self.client.responses.create(model=f"sim/fault-{fault}", input="hello there", **fields)

    def test_odd_completions_are_completions(self):
        for fault, reason, content, refusal in [
            ("refusal", "stop", None, "hello there"),
            ("content-filter", "content_filter", None, None),
            ("length", "length", "hello there", None),
            ("empty-text", "stop", "", None),
            ("null-content", "stop", None, None),
        ]:
            with self.subTest(fault):
                choice = self.chat(fault).choices[0]
                message = choice.message
                self.assertEqual((choice.finish_reason, message.content, message.refusal), (reason, content, refusal))
                with self.chat(fault, stream=True) as stream:
                    chunks = [chunk.choices[0] for chunk in stream]
                self.assertEqual(chunks[-1].finish_reason, reason)
                refused = "".join(chunk.delta.refusal or "" for chunk in chunks)
                self.assertEqual(refused, refusal or "")
        self.assertEqual(self.chat("empty-choices").choices, [])
        self.assertIsNone(self.chat("no-usage").usage)
        self.assertEqual(self.chat("other-model").model, "sim-other-model")

    def test_odd_responses_are_responses(self):
        for fault, status, reason in [
            ("refusal", "completed", None),
            ("content-filter", "incomplete", "content_filter"),
            ("length", "incomplete", "max_output_tokens"),
            ("empty-text", "completed", None),
            ("empty-choices", "completed", None),
            ("null-content", "completed", None),
        ]:
            with self.subTest(fault):
                whole = self.respond(fault)
                with self.respond(fault, stream=True) as stream:
                    streamed = list(stream)[-1].response
                for response in [whole, streamed]:
                    details = response.incomplete_details
                    self.assertEqual((response.status, details and details.reason), (status, reason))
        self.assertEqual(self.respond("refusal").output[0].content[0].refusal, "hello there")
        self.assertIsNone(self.respond("no-usage").usage)
        failed = self.respond("error-in-200-500")
        self.assertEqual((failed.status, failed.error.code), ("failed", "server_error"))

    def test_an_error_in_a_stream_is_an_exception(self):
        text = ""
        with self.assertRaises(openai.APIError) as caught:
            with self.chat("error-in-stream", stream=True) as stream:
                for chunk in stream:
                    text += chunk.choices[0].delta.content
        self.assertEqual(text, "hello th")
        self.assertEqual(caught.exception.code, "server_is_overloaded")

    def test_an_error_among_events_is_an_event(self):
        with self.respond("error-in-stream", stream=True) as stream:
            events = list(stream)
        self.assertEqual((events[-1].type, events[-1].code), ("error", "server_is_overloaded"))
        self.assertEqual(events[-1].sequence_number, len(events) - 1)

    def test_quotas_have_their_codes(self):
        for fault, code in [("quota", "insufficient_quota"), ("slow-down", "slow_down")]:
            with self.assertRaises(openai.RateLimitError) as caught:
                self.chat(fault)
            self.assertEqual(caught.exception.code, code)

    def test_the_sdk_waits_as_long_as_it_is_told(self):
        with client(self.sim, max_retries=1) as caller:
            for fault, wait in [("429-retry-after-seconds:1", 1.9), ("429-retry-after-ms:1", 0.2)]:
                begun = time.monotonic()
                ask = {**SAY, "model": f"sim/fault-{fault}"}
                answer = caller.chat.completions.create(**ask)
                self.assertEqual(answer.choices[0].message.content, "hello there")
                self.assertGreater(time.monotonic() - begun, wait)


def lines(count, url="/v1/chat/completions", body=None):
    """A batch's file; each request says its number."""

    def line(number):
        message = {"role": "user", "content": f"row {number}"}
        ask = body or {"model": "sim-small", "messages": [message]}
        return {"custom_id": f"r-{number}", "method": "POST", "url": url, "body": ask}

    return "".join(json.dumps(line(number)) + "\n" for number in range(count)).encode()


class Batches(WithSim):
    def upload(self, content, name="input.jsonl"):
        return self.client.files.create(file=(name, content), purpose="batch")

    def begin(self, content, endpoint="/v1/chat/completions", **fields):
        file = self.upload(content)
        return self.client.batches.create(
            input_file_id=file.id, endpoint=endpoint, completion_window="24h", **fields
        )

    def end(self, batch):
        ends = {"completed", "failed", "expired", "cancelled"}
        while batch.status not in ends:
            time.sleep(0.05)
            batch = self.client.batches.retrieve(batch.id)
        return batch

    def rows(self, file_id):
        if file_id is None:
            return {}
        text = self.client.files.content(file_id).text
        rows = [json.loads(line) for line in text.splitlines()]
        found = {row["custom_id"]: row for row in rows}
        self.assertEqual(len(found), len(rows))
        return found

    def test_files(self):
        content = lines(3)
        file = self.upload(content)
        self.assertEqual((file.bytes, file.purpose, file.filename), (len(content), "batch", "input.jsonl"))
        self.assertEqual(file.expires_at - file.created_at, 30 * 24 * 3600)
        self.assertEqual(self.client.files.content(file.id).read(), content)
        self.assertEqual(self.client.files.retrieve(file.id), file)
        others = [self.upload(lines(1)).id for _ in range(3)]
        listed = [item.id for item in self.client.files.list(limit=2, purpose="batch")]
        self.assertEqual(listed[:4], [*reversed(others), file.id])
        self.assertTrue(self.client.files.delete(file.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            self.client.files.retrieve(file.id)
        soon = self.client.files.create(
            file=("x.jsonl", b"{}"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        self.assertEqual(soon.expires_at - soon.created_at, 3600)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.upload(b"{}", "input.txt")
        self.assertIn("Must be .jsonl", caught.exception.message)

    def test_the_whole_life(self):
        bad = {"custom_id": "bad", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "sim-small"}}
        content = lines(100) + json.dumps(bad).encode()
        batch = self.begin(content, metadata={"run_id": "run-7"})
        self.assertEqual((batch.status, batch.expires_at - batch.created_at), ("validating", 24 * 3600))
        batch = self.end(batch)
        self.assertEqual((batch.status, batch.metadata, batch.model), ("completed", {"run_id": "run-7"}, "sim-small"))
        counts = batch.request_counts
        self.assertEqual((counts.total, counts.completed, counts.failed), (101, 100, 1))
        self.assertLessEqual(batch.in_progress_at, batch.finalizing_at)
        self.assertLessEqual(batch.finalizing_at, batch.completed_at)
        output, errors = self.rows(batch.output_file_id), self.rows(batch.error_file_id)
        self.assertEqual(set(output), {f"r-{number}" for number in range(100)})
        self.assertNotEqual(list(output), [f"r-{number}" for number in range(100)])
        for name, row in output.items():
            self.assertEqual((row["response"]["status_code"], row["error"]), (200, None))
            said = row["response"]["body"]["choices"][0]["message"]["content"]
            self.assertEqual(said, name.replace("r-", "row "))
        self.assertEqual(list(errors), ["bad"])
        self.assertEqual(errors["bad"]["response"]["status_code"], 400)
        self.assertEqual(errors["bad"]["response"]["body"]["error"]["param"], "messages")
        self.assertEqual(batch.usage.output_tokens, 100 * 2)
        self.assertEqual(batch.usage.total_tokens, batch.usage.input_tokens + batch.usage.output_tokens)

    def test_other_endpoints(self):
        for endpoint, body in [
            ("/v1/responses", {"model": "m", "input": "x"}),
            ("/v1/embeddings", {"model": "m", "input": ["x", "y"], "dimensions": 4}),
        ]:
            batch = self.end(self.begin(lines(5, endpoint, body), endpoint))
            self.assertEqual((batch.status, batch.endpoint), ("completed", endpoint))
            output = self.rows(batch.output_file_id)
            self.assertEqual((len(output), batch.error_file_id), (5, None))
            for row in output.values():
                body_of = row["response"]["body"]
                self.assertEqual(body_of["object"], "response" if "responses" in endpoint else "list")

    def test_a_bad_file_fails(self):
        chat = lines(2)
        other = lines(1, body={"model": "another", "messages": []}).replace(b"r-0", b"r-9")
        content = chat + b"{nonsense\n" + chat[: chat.index(b"\n") + 1] + other + b"\n"
        batch = self.end(self.begin(content))
        self.assertEqual((batch.status, batch.output_file_id), ("failed", None))
        self.assertIsNotNone(batch.failed_at)
        found = [(error.line, error.code) for error in batch.errors.data]
        self.assertEqual(
            found,
            [
                (3, "invalid_json_line"),
                (4, "duplicate_custom_id"),
                (5, "mismatched_model"),
                (6, "invalid_json_line"),
            ],
        )

    def test_cancelled_before_it_begins(self):
        batch = self.begin(lines(10))
        batch = self.client.batches.cancel(batch.id)
        self.assertIn(batch.status, ["cancelling", "cancelled"])
        batch = self.end(batch)
        self.assertEqual((batch.status, batch.output_file_id), ("cancelled", None))
        with self.assertRaises(openai.ConflictError):
            self.client.batches.cancel(batch.id)

    def test_lists_have_pages(self):
        made = [self.begin(lines(1), metadata={"run_id": f"{n}"}).id for n in range(5)]
        page = self.client.batches.list(limit=2)
        self.assertTrue(page.has_more and len(page.data) == 2)
        # The SDK asks for page after page.
        listed = [batch.id for batch in self.client.batches.list(limit=2)]
        self.assertEqual(listed[:5], made[::-1])
        self.assertEqual(len(listed), len(set(listed)))

    def test_bad_batches_are_rejected(self):
        file = self.upload(lines(1))
        good = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        for wrong, param in [
            ({"input_file_id": "file-none"}, "input_file_id"),
            ({"endpoint": "/v1/other"}, "endpoint"),
            ({"completion_window": "1h"}, "completion_window"),
            ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ]:
            with self.subTest(param), self.assertRaises(openai.BadRequestError) as caught:
                self.client.batches.create(**{**good, **wrong})
            self.assertEqual(caught.exception.param, param)
        with self.assertRaises(openai.NotFoundError):
            self.client.batches.retrieve("batch_none")
