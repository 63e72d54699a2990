"""openai's own asynchronous client, as its documentation shows it."""

import asyncio
import json

from openai import AsyncOpenAI

import loops


async def main():
    port, requests, in_flight, body = loops.orders()
    request = json.loads(body)
    async with AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client:

        async def call():
            answer = await client.chat.completions.create(**request)
            assert answer.choices[0].message.content

        await loops.run(call, requests, in_flight)


asyncio.run(main())
