# get.py REQUESTS AT_ONCE URL: keeps AT_ONCE requests going with aiohttp; prints the seconds they took.
# SPDX-License-Identifier: MIT
import asyncio
import sys
import time

import aiohttp


async def main(count, at_once, url):
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector) as session:
        numbers = iter(range(count))

        async def worker():
            for _ in numbers:
                async with session.get(url) as answer:
                    assert len(await answer.read()) == 1024

        start = time.perf_counter()
        await asyncio.gather(*[worker() for _ in range(at_once)])
        print(f'{{"seconds": {time.perf_counter() - start}}}')


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
