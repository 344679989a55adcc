#!/usr/bin/env python3
"""tls_front: TLS before a unix socket, for specs of engines that are reached by TLS.

  tls_front.py SOCKET CERTIFICATE KEY [PROTOCOL...]   offers the protocols by ALPN; prints its port; ends with its stdin
"""
# SPDX-License-Identifier: MIT
import asyncio
import os
import ssl
import sys


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def main():
    path, certificate, key, *protocols = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if protocols:
        context.set_alpn_protocols(protocols)

    async def serve(reader, writer):
        far_reader, far_writer = await asyncio.open_unix_connection(path)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    os._exit(0)


asyncio.run(main())
