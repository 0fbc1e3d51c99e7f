"""Echo over TCP with asyncio: python3 echo_asyncio.py HOST PORT"""

import asyncio
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main(host, port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, host, port, backlog=4096)
    await server.serve_forever()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
