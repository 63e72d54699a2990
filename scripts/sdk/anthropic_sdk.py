"""The official Anthropic SDK against `forebay sim`: its own typed parsing accepts everything."""

import asyncio
import datetime
import time
import unittest

import anthropic
from anthropic import Anthropic, AsyncAnthropic

from sim import KEY, Sim

ASK = dict(model="sim-small", max_tokens=200, messages=[{"role": "user", "content": "hello there"}])
TOOL = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
        "required": ["city", "days"],
    },
}


def client(sim, **options):
    options = {"api_key": KEY, "max_retries": 0, "_strict_response_validation": True, **options}
    return Anthropic(base_url=sim.url, **options)


class Messages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--answers", "echo")
        cls.client = client(cls.sim)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.sim.__exit__()

    def test_plain(self):
        message = self.client.messages.create(**ASK)
        self.assertEqual(message.content[0].text, "hello there")
        self.assertEqual((message.stop_reason, message.stop_sequence, message.stop_details), ("end_turn", None, None))
        self.assertEqual((message.usage.input_tokens, message.usage.output_tokens), (3, 3))
        self.assertTrue(message._request_id.startswith("req_"))
        cut = self.client.messages.create(**{**ASK, "max_tokens": 2})
        self.assertEqual((cut.stop_reason, cut.content[0].text), ("max_tokens", "hello th"))
        stopped = self.client.messages.create(**ASK, stop_sequences=["xyz", "o th"])
        self.assertEqual((stopped.stop_reason, stopped.stop_sequence), ("stop_sequence", "o th"))
        self.assertEqual(stopped.content[0].text, "hell")

    def test_raw_events(self):
        with self.client.messages.create(**ASK, stream=True) as stream:
            events = list(stream)
        kinds = [event.type for event in events]
        self.assertEqual(
            kinds,
            ["message_start", "content_block_start"]
            + ["content_block_delta"] * 3
            + ["content_block_stop", "message_delta", "message_stop"],
        )
        self.assertEqual(events[0].message.usage.input_tokens, 3)
        self.assertEqual(events[-2].usage.output_tokens, 3)
        self.assertEqual("".join(e.delta.text for e in events if e.type == "content_block_delta"), "hello there")

    def test_stream_helper(self):
        with self.client.messages.stream(**ASK) as stream:
            text = "".join(stream.text_stream)
            message = stream.get_final_message()
        self.assertEqual(text, "hello there")
        self.assertEqual((message.stop_reason, message.usage.output_tokens), ("end_turn", 3))

    def test_tools(self):
        ask = dict(ASK, tools=[TOOL], tool_choice={"type": "any"})
        whole = self.client.messages.create(**ask)
        self.assertEqual((whole.stop_reason, whole.content[0].type), ("tool_use", "tool_use"))
        self.assertEqual(whole.content[0].name, "weather")
        self.assertIn(whole.content[0].input["days"], range(1, 8))
        self.assertIsInstance(whole.content[0].input["city"], str)
        with self.client.messages.stream(**ask) as stream:
            streamed = stream.get_final_message()
        self.assertEqual(streamed.content[0].input, whole.content[0].input)
        named = self.client.messages.create(**dict(ask, tool_choice={"type": "tool", "name": "weather"}))
        self.assertEqual(named.content[0].name, "weather")
        with self.assertRaises(anthropic.BadRequestError):
            self.client.messages.create(**dict(ask, tool_choice={"type": "tool", "name": "none"}))

    def test_structured_output(self):
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
        format = {"type": "json_schema", "schema": schema}
        message = self.client.messages.create(**ASK, output_config={"format": format})
        self.assertIn(message.content[0].text, ['{"ok":true}', '{"ok":false}'])

    def test_count_tokens(self):
        count = self.client.messages.count_tokens(model="sim-small", messages=ASK["messages"])
        self.assertEqual(count.input_tokens, 3)

    def test_models(self):
        names = [model.id for model in self.client.models.list(limit=1)]
        self.assertEqual(names, ["sim-small", "sim-large"])
        self.assertEqual(self.client.models.retrieve("sim-large").display_name, "sim-large")
        with self.assertRaises(anthropic.NotFoundError):
            self.client.models.retrieve("nothing")

    def test_versions(self):
        for version in ["2023-06-01", "2026-10-21"]:
            with client(self.sim, default_headers={"anthropic-version": version}) as versioned:
                message = versioned.messages.create(**ASK)
                self.assertEqual(message.content[0].text, "hello there")
        newest = {"anthropic-version": "2026-10-21"}
        with self.assertRaises(anthropic.BadRequestError):
            self.client.messages.create(**ASK, extra_body={"temperature": 1.0}, extra_headers=newest)

    def test_async(self):
        async def run():
            options = dict(api_key=KEY, max_retries=0, _strict_response_validation=True)
            async with AsyncAnthropic(base_url=self.sim.url, **options) as client:
                whole = await client.messages.create(**ASK)
                async with client.messages.stream(**ASK) as stream:
                    streamed = await stream.get_final_message()
            return whole.content[0].text, streamed.content[0].text

        self.assertEqual(asyncio.run(run()), ("hello there", "hello there"))

    def test_bad_requests_and_keys(self):
        with self.assertRaises(anthropic.BadRequestError) as caught:
            self.client.messages.create(model="m", max_tokens=5, messages=[])
        error = caught.exception
        self.assertEqual((error.status_code, error.type), (400, "invalid_request_error"))
        self.assertEqual(error.body["request_id"], error.request_id)
        with client(self.sim, api_key="wrong") as stranger:
            with self.assertRaises(anthropic.AuthenticationError) as caught:
                stranger.messages.create(**ASK)
        self.assertEqual(caught.exception.type, "authentication_error")


class Failures(unittest.TestCase):
    def test_each_status_is_its_exception(self):
        for status, exception, kind in [
            (402, anthropic.APIStatusError, "billing_error"),
            (403, anthropic.PermissionDeniedError, "permission_error"),
            (404, anthropic.NotFoundError, "not_found_error"),
            (409, anthropic.ConflictError, "conflict_error"),
            (413, anthropic.APIStatusError, "request_too_large"),
            (429, anthropic.RateLimitError, "rate_limit_error"),
            (500, anthropic.InternalServerError, "api_error"),
            (504, anthropic.APIStatusError, "timeout_error"),
            (529, anthropic.APIStatusError, "overloaded_error"),
        ]:
            with self.subTest(status), Sim("--error", f"{status}=1") as sim, client(sim) as sdk:
                for stream in [False, True]:
                    with self.assertRaises(exception) as caught:
                        sdk.messages.create(**ASK, stream=stream)
                    error = caught.exception
                    self.assertEqual((error.status_code, error.type), (status, kind))
                    self.assertTrue(error.request_id.startswith("req_"))

    def test_a_cut_stream_is_no_message(self):
        with Sim("--cut", "1", "--answers", "echo") as sim, client(sim) as sdk:
            with self.assertRaises(Exception):
                with sdk.messages.stream(**ASK) as stream:
                    stream.get_final_message()

    def test_rate_limits_are_told_in_headers(self):
        with Sim("--rpm", "2", "--itpm", "1000", "--otpm", "500") as sim, client(sim) as sdk:
            answers = [sdk.messages.with_raw_response.create(**ASK) for _ in range(2)]
            self.assertEqual([a.headers["anthropic-ratelimit-requests-remaining"] for a in answers], ["1", "0"])
            self.assertEqual(answers[0].headers["anthropic-ratelimit-requests-limit"], "2")
            self.assertEqual(answers[0].headers["anthropic-ratelimit-input-tokens-limit"], "1000")
            self.assertEqual(answers[0].headers["anthropic-ratelimit-output-tokens-limit"], "500")
            # Time until the bucket is full again: 30 s for each of two requests.
            reset = datetime.datetime.fromisoformat(answers[1].headers["anthropic-ratelimit-requests-reset"])
            left = (reset - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
            self.assertTrue(55 < left <= 61, left)
            with self.assertRaises(anthropic.RateLimitError) as caught:
                sdk.messages.create(**ASK)
            wait = int(caught.exception.response.headers["retry-after"])
            self.assertTrue(25 <= wait <= 30, wait)

    def test_the_sdk_waits_and_tries_again(self):
        # One request each second, so that the SDK's second attempt, a second later, passes.
        with Sim("--rps", "1") as sim, client(sim, max_retries=3) as sdk:
            begun = time.monotonic()
            for _ in range(2):
                self.assertEqual(sdk.messages.create(**ASK).type, "message")
            self.assertGreater(time.monotonic() - begun, 0.9)


class Faults(unittest.TestCase):
    """Faults by the model's name; `forebay sim --list-faults` lists them."""

    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--answers", "echo")
        cls.client = client(cls.sim)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.sim.__exit__()

    def ask(self, fault):
        return dict(ASK, model=f"sim/fault-{fault}")

    def test_odd_messages_are_messages(self):
        for fault, reason, blocks in [
            ("refusal", "refusal", 1),
            ("content-filter", "refusal", 0),
            ("length", "max_tokens", 1),
            ("empty-choices", "end_turn", 0),
            ("empty-text", "end_turn", 1),
        ]:
            with self.subTest(fault):
                whole = self.client.messages.create(**self.ask(fault))
                with self.client.messages.stream(**self.ask(fault)) as stream:
                    streamed = stream.get_final_message()
                for message in [whole, streamed]:
                    self.assertEqual((message.stop_reason, len(message.content)), (reason, blocks))
                    self.assertEqual(message.stop_details is not None, reason == "refusal")

    def test_an_error_in_a_stream_is_an_exception(self):
        texts = []
        with self.assertRaises(anthropic.APIStatusError) as caught:
            with self.client.messages.stream(**self.ask("error-in-stream")) as stream:
                texts.extend(stream.text_stream)
        self.assertEqual("".join(texts), "hello th")
        self.assertEqual(caught.exception.body["type"], "error")
        self.assertEqual(caught.exception.body["request_id"], caught.exception.request_id)

    def test_limits_have_their_codes(self):
        for fault, code in [("ramp-limit", "ramp_limit_exceeded"), ("quota", "enforced_spend_limit_reached")]:
            with self.assertRaises(anthropic.RateLimitError) as caught:
                self.client.messages.create(**self.ask(fault))
            self.assertEqual(caught.exception.error_code, code)

    def test_the_sdk_waits_as_long_as_it_is_told(self):
        with client(self.sim, max_retries=1) as sdk:
            begun = time.monotonic()
            message = sdk.messages.create(**self.ask("429-retry-after-seconds:1"))
            self.assertEqual(message.content[0].text, "hello there")
            self.assertGreater(time.monotonic() - begun, 1.9)


class Batches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--answers", "echo")
        cls.client = client(cls.sim)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.sim.__exit__()

    def create(self, rows):
        return self.client.messages.batches.create(requests=rows)

    def ended(self, batch):
        deadline = time.monotonic() + 30
        while batch.processing_status != "ended":
            self.assertLess(time.monotonic(), deadline)
            counts = batch.request_counts
            self.assertEqual(counts.succeeded + counts.errored + counts.canceled + counts.expired, 0)
            time.sleep(0.1)
            batch = self.client.messages.batches.retrieve(batch.id)
        return batch

    def test_the_whole_life(self):
        rows = [
            {"custom_id": f"row-{n}", "params": dict(ASK, messages=[{"role": "user", "content": f"say {n}"}])}
            for n in range(20)
        ]
        rows.append({"custom_id": "bad", "params": dict(ASK, messages=[])})
        batch = self.create(rows)
        self.assertEqual((batch.processing_status, batch.request_counts.processing), ("in_progress", 21))
        self.assertIsNone(batch.results_url)
        with self.assertRaises(anthropic.APIStatusError):
            self.client.messages.batches.delete(batch.id)
        batch = self.ended(batch)
        counts = batch.request_counts
        self.assertEqual((counts.processing, counts.succeeded, counts.errored), (0, 20, 1))
        self.assertEqual((batch.expires_at - batch.created_at).total_seconds(), 24 * 3600)
        results = {line.custom_id: line.result for line in self.client.messages.batches.results(batch.id)}
        self.assertEqual(len(results), 21)
        for n in range(20):
            result = results[f"row-{n}"]
            self.assertEqual((result.type, result.message.content[0].text), ("succeeded", f"say {n}"))
        self.assertEqual(results["bad"].type, "errored")
        self.assertEqual(results["bad"].error.error.type, "invalid_request_error")
        deleted = self.client.messages.batches.delete(batch.id)
        self.assertEqual((deleted.id, deleted.type), (batch.id, "message_batch_deleted"))
        with self.assertRaises(anthropic.NotFoundError):
            self.client.messages.batches.retrieve(batch.id)

    def test_cancelled_before_it_begins(self):
        batch = self.create([{"custom_id": "a", "params": ASK}, {"custom_id": "b", "params": ASK}])
        cancelled = self.client.messages.batches.cancel(batch.id)
        self.assertEqual(cancelled.processing_status, "canceling")
        self.assertIsNotNone(cancelled.cancel_initiated_at)
        batch = self.ended(cancelled)
        self.assertEqual(batch.request_counts.canceled, 2)
        self.assertEqual({line.result.type for line in self.client.messages.batches.results(batch.id)}, {"canceled"})

    def test_lists_have_pages(self):
        made = [self.create([{"custom_id": "a", "params": ASK}]).id for _ in range(3)]
        listed = [batch.id for batch in self.client.messages.batches.list(limit=1)]
        self.assertEqual([id for id in listed if id in made], made[::-1])
        before = self.client.messages.batches.list(limit=1, before_id=made[0])
        self.assertEqual(before.data[0].id, made[1])

    def test_bad_batches_are_rejected(self):
        row = {"custom_id": "same", "params": ASK}
        for rows in [[], [row, row], [dict(row, custom_id="not allowed!")]]:
            with self.assertRaises(anthropic.BadRequestError):
                self.create(rows)


if __name__ == "__main__":
    unittest.main()
