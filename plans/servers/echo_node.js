// Echo over TCP with Node.js: node echo_node.js HOST PORT
'use strict';

const net = require('node:net');

const [host, port] = process.argv.slice(2);

const server = net.createServer({ noDelay: true }, (socket) => {
  // A connection that breaks is no reason to end.
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});

server.listen({ host, port: Number(port), backlog: 4096 });
