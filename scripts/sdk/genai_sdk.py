"""The official google-genai SDK against `forebay sim`: its own typed parsing accepts everything."""

import asyncio
import json
import unittest
import urllib.error
import urllib.request

from google import genai
from google.genai import errors, types

from sim import KEY, Sim

MODEL = "sim-small"


def client(sim, key=KEY, **options):
    options = types.HttpOptions(base_url=sim.url, **options)
    return genai.Client(api_key=key, http_options=options)


def detail(error, name):
    """The detail of this protobuf type in an error, if it has one."""
    details = error.details["error"].get("details", [])
    found = [d for d in details if d["@type"] == f"type.googleapis.com/google.rpc.{name}"]
    return found[0] if found else None


class Content(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--answers", "echo")
        cls.client = client(cls.sim)
        cls.models = cls.client.models

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.sim.__exit__()

    def test_plain(self):
        answer = self.models.generate_content(model=MODEL, contents="hello there")
        self.assertEqual(answer.text, "hello there")
        candidate = answer.candidates[0]
        self.assertEqual((candidate.finish_reason, candidate.content.role), (types.FinishReason.STOP, "model"))
        usage = answer.usage_metadata
        self.assertEqual((usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count), (3, 3, 6))
        self.assertEqual(answer.model_version, MODEL)
        self.assertTrue(answer.response_id)

    def test_config(self):
        config = types.GenerateContentConfig(
            system_instruction="Be brief and to the point.",
            max_output_tokens=2,
            candidate_count=2,
            thinking_config=types.ThinkingConfig(thinking_budget=40),
        )
        answer = self.models.generate_content(model=MODEL, contents="hello there", config=config)
        self.assertEqual([c.finish_reason for c in answer.candidates], [types.FinishReason.MAX_TOKENS] * 2)
        self.assertEqual(answer.candidates[1].content.parts[0].text, "hello th")
        usage = answer.usage_metadata
        self.assertEqual((usage.candidates_token_count, usage.thoughts_token_count), (4, 10))
        self.assertEqual(usage.total_token_count, usage.prompt_token_count + 14)
        stopped = self.models.generate_content(
            model=MODEL, contents="hello there", config=types.GenerateContentConfig(stop_sequences=["o th"])
        )
        self.assertEqual(stopped.text, "hell")

    def test_stream(self):
        chunks = list(self.models.generate_content_stream(model=MODEL, contents="hello there"))
        self.assertEqual("".join(chunk.text or "" for chunk in chunks), "hello there")
        self.assertEqual([c.candidates[0].finish_reason for c in chunks], [None] * 3 + [types.FinishReason.STOP])
        self.assertEqual(chunks[-1].usage_metadata.candidates_token_count, 3)
        self.assertEqual(len({chunk.response_id for chunk in chunks}), 1)

    def test_functions(self):
        weather = types.FunctionDeclaration(
            name="weather",
            parameters=types.Schema(
                type=types.Type.OBJECT,
                properties={"city": types.Schema(type=types.Type.STRING), "days": types.Schema(type=types.Type.INTEGER)},
            ),
        )
        calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
        config = types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=[weather])],
            tool_config=types.ToolConfig(function_calling_config=calling),
        )
        call = self.models.generate_content(model=MODEL, contents="rain?", config=config).function_calls[0]
        self.assertEqual((call.name, set(call.args)), ("weather", {"city", "days"}))
        self.assertIsInstance(call.args["days"], int)
        chunks = list(self.models.generate_content_stream(model=MODEL, contents="rain?", config=config))
        self.assertEqual([c.args for chunk in chunks for c in chunk.function_calls or []], [call.args])

    def test_structured_output(self):
        config = types.GenerateContentConfig(
            response_mime_type="application/json",
            response_schema=types.Schema(type=types.Type.ARRAY, items=types.Schema(type=types.Type.BOOLEAN)),
        )
        answer = self.models.generate_content(model=MODEL, contents="which?", config=config)
        self.assertIsInstance(json.loads(answer.text)[0], bool)

    def test_both_versions_of_the_api(self):
        for version in ["v1", "v1beta"]:
            with client(self.sim, api_version=version) as versioned:
                answer = versioned.models.generate_content(model=MODEL, contents="hello there")
                self.assertEqual(answer.text, "hello there")
                self.assertEqual(len(list(versioned.models.list())), 2)

    def test_count_tokens(self):
        self.assertEqual(self.models.count_tokens(model=MODEL, contents="hello there").total_tokens, 3)

    def test_models(self):
        names = [model.name for model in self.models.list(config={"page_size": 1})]
        self.assertEqual(names, ["models/sim-small", "models/sim-large"])
        model = self.models.get(model="sim-large")
        self.assertEqual(model.name, "models/sim-large")
        self.assertIn("generateContent", model.supported_actions)
        with self.assertRaises(errors.ClientError) as caught:
            self.models.get(model="nothing")
        self.assertEqual((caught.exception.code, caught.exception.status), (404, "NOT_FOUND"))

    def test_async(self):
        async def run():
            whole = await self.client.aio.models.generate_content(model=MODEL, contents="hello there")
            streamed = ""
            async for chunk in await self.client.aio.models.generate_content_stream(model=MODEL, contents="hello there"):
                streamed += chunk.text or ""
            await self.client.aio.aclose()
            return whole.text, streamed

        self.assertEqual(asyncio.run(run()), ("hello there", "hello there"))

    def test_bad_requests_and_keys(self):
        with self.assertRaises(errors.ClientError) as caught:
            config = types.GenerateContentConfig(candidate_count=9)
            self.models.generate_content(model=MODEL, contents="x", config=config)
        self.assertEqual((caught.exception.code, caught.exception.status), (400, "INVALID_ARGUMENT"))
        with client(self.sim, key="wrong") as stranger:
            for call in [stranger.models.generate_content, lambda **ask: list(stranger.models.generate_content_stream(**ask))]:
                with self.assertRaises(errors.ClientError) as caught:
                    call(model=MODEL, contents="x")
                error = caught.exception
                self.assertEqual((error.code, error.status), (400, "INVALID_ARGUMENT"))
                self.assertEqual(detail(error, "ErrorInfo")["reason"], "API_KEY_INVALID")

    def test_without_alt_sse_a_stream_is_one_array(self):
        # The SDK always asks for events; this is what everyone else may do.
        url = f"{self.sim.url}/v1beta/models/{MODEL}:streamGenerateContent?key="
        body = json.dumps({"contents": [{"parts": [{"text": "hello there"}]}]}).encode()
        with urllib.request.urlopen(urllib.request.Request(url + KEY, body)) as answer:
            chunks = [types.GenerateContentResponse.model_validate(chunk) for chunk in json.load(answer)]
        self.assertEqual("".join(chunk.text for chunk in chunks), "hello there")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(url + "wrong", body))
        with caught.exception as answer:
            self.assertEqual(json.load(answer)[0]["error"]["code"], 400)


class Failures(unittest.TestCase):
    def test_each_status_is_its_exception(self):
        for status, exception, word in [
            (403, errors.ClientError, "PERMISSION_DENIED"),
            (404, errors.ClientError, "NOT_FOUND"),
            (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
            (500, errors.ServerError, "INTERNAL"),
            (503, errors.ServerError, "UNAVAILABLE"),
            (504, errors.ServerError, "DEADLINE_EXCEEDED"),
        ]:
            with self.subTest(status), Sim("--error", f"{status}=1") as sim, client(sim) as sdk:
                stream = lambda **ask: list(sdk.models.generate_content_stream(**ask))
                for call in [sdk.models.generate_content, stream]:
                    with self.assertRaises(exception) as caught:
                        call(model=MODEL, contents="x")
                    self.assertEqual((caught.exception.code, caught.exception.status), (status, word))
                    self.assertTrue(caught.exception.message)

    def test_rate_limits_are_told_in_details(self):
        with Sim("--rpm", "2") as sim, client(sim) as sdk:
            for _ in range(2):
                sdk.models.generate_content(model=MODEL, contents="x")
            with self.assertRaises(errors.ClientError) as caught:
                sdk.models.generate_content(model=MODEL, contents="x")
            error = caught.exception
            self.assertEqual((error.code, error.status), (429, "RESOURCE_EXHAUSTED"))
            wait = float(detail(error, "RetryInfo")["retryDelay"].removesuffix("s"))
            self.assertTrue(25 < wait <= 30, wait)
            self.assertIn("Please retry in ", error.message)
            violation = detail(error, "QuotaFailure")["violations"][0]
            self.assertIn("PerMinute", violation["quotaId"])
            self.assertEqual(violation["quotaValue"], "2")
            self.assertNotIn("retry-after", error.response.headers)

    def test_the_sdk_tries_again_when_told_to(self):
        retry = types.HttpRetryOptions(attempts=4, initial_delay=1.0, jitter=0.1)
        with Sim("--rps", "1") as sim, client(sim, retry_options=retry) as sdk:
            for _ in range(2):
                self.assertTrue(sdk.models.generate_content(model=MODEL, contents="x").text)


class Faults(unittest.TestCase):
    """Faults by the model's name; `forebay sim --list-faults` lists them."""

    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--answers", "echo")
        cls.client = client(cls.sim)
        cls.models = cls.client.models

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.sim.__exit__()

    def both(self, fault):
        """The whole answer, and the last part of a streamed one."""
        ask = dict(model=f"sim/fault-{fault}", contents="hello there")
        return self.models.generate_content(**ask), list(self.models.generate_content_stream(**ask))[-1]

    def test_odd_content_is_content(self):
        for fault, reason, text in [
            ("refusal", types.FinishReason.SAFETY, None),
            ("length", types.FinishReason.MAX_TOKENS, "hello there"),
            ("empty-text", types.FinishReason.STOP, ""),
            ("null-content", types.FinishReason.STOP, None),
        ]:
            with self.subTest(fault):
                whole, last = self.both(fault)
                self.assertEqual([a.candidates[0].finish_reason for a in [whole, last]], [reason] * 2)
                self.assertEqual(whole.text, text)
        for answer in self.both("content-filter"):
            self.assertEqual((answer.candidates, answer.prompt_feedback.block_reason), (None, types.BlockedReason.SAFETY))
        for answer in self.both("empty-choices"):
            self.assertEqual((answer.candidates, answer.prompt_feedback), (None, None))
        self.assertIsNone(self.both("no-usage")[0].usage_metadata)

    def test_an_error_in_a_stream_is_an_exception(self):
        texts = []
        with self.assertRaises(errors.ServerError) as caught:
            for part in self.models.generate_content_stream(model="sim/fault-error-in-stream", contents="hello there"):
                texts.append(part.text)
        self.assertEqual("".join(texts), "hello th")
        self.assertEqual((caught.exception.code, caught.exception.status), (503, "UNAVAILABLE"))

    def test_waits_and_quotas_are_in_the_details(self):
        with self.assertRaises(errors.ClientError) as caught:
            self.models.generate_content(model="sim/fault-429-retry-info", contents="x")
        self.assertEqual(detail(caught.exception, "RetryInfo")["retryDelay"], "7.5s")
        with self.assertRaises(errors.ClientError) as caught:
            self.models.generate_content(model="sim/fault-quota", contents="x")
        self.assertIn("PerDay", detail(caught.exception, "QuotaFailure")["violations"][0]["quotaId"])


if __name__ == "__main__":
    unittest.main()
