"""aiohttp by hand: one session, the answer's JSON is read."""

import asyncio

import aiohttp

import loops


async def main():
    port, requests, in_flight, body = loops.orders()
    headers = {"authorization": "Bearer none", "content-type": "application/json"}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def call():
            async with session.post(url, data=body.encode()) as answer:
                assert answer.status == 200
                assert (await answer.json())["choices"]

        await loops.run(call, requests, in_flight)


asyncio.run(main())
