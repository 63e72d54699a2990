"""The official OpenAI SDK against `forebay sim`: its own typed parsing accepts everything."""

import unittest

from openai import OpenAI

from sim import KEY, Sim

SAY = {"model": "sim-small", "messages": [{"role": "user", "content": "hello there"}]}


def client(sim, kind=OpenAI, **options):
    options = {"api_key": KEY, "max_retries": 0, "_strict_response_validation": True, **options}
    return kind(base_url=f"{sim.url}/v1", **options)


class Chat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim("--answers", "echo")
        cls.client = client(cls.sim)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.sim.__exit__()

    def test_plain(self):
        answer = self.client.chat.completions.create(**SAY)
        self.assertEqual(answer.choices[0].message.content, "hello there")
