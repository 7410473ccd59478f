'use strict';
// The sample shop on Node.js, standard library only. Listens on 127.0.0.1:$PORT; says what it does as JSON lines on standard output.

const fs = require('fs');
const http = require('http');
const net = require('net');
const os = require('os');
const path = require('path');

// Connections that nobody uses are closed this long after SIGTERM; by then the proxy has asked again on the busy ones and was told to close.
const DRAIN_IDLE_MS = 1000;
const LONGEST_SLOW_MS = 30000;
const MOST_MEMORY_MIB = 4096;

const version = fs.readFileSync(path.join(__dirname, 'VERSION'), 'utf8').trim();
const host = os.hostname();
const page = fs.readFileSync(path.join(__dirname, 'page.html'), 'utf8').replace('{{version}}', version).replace('{{host}}', host);
const port = Number(process.env.PORT || 3000);
const idle = new Set();
const held = [];
let draining = false;

function log(event, details) {
  process.stdout.write(JSON.stringify({ time: new Date().toISOString(), event, version, pid: process.pid, ...details }) + '\n');
}

function send(response, status, type, body) {
  const headers = { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body), 'Cache-Control': 'no-store' };
  if (draining) headers.Connection = 'close';
  response.writeHead(status, headers);
  response.end(body);
}

function sendJson(response, status, value) {
  send(response, status, 'application/json', JSON.stringify(value) + '\n');
}

const routes = {
  '/': (_url, response) => send(response, 200, 'text/html; charset=utf-8', page),
  '/health': (_url, response) => sendJson(response, draining ? 503 : 200, { status: draining ? 'draining' : 'ok' }),
  '/version': (_url, response) => sendJson(response, 200, { version, host, pid: process.pid }),
  '/slow': (url, response) => {
    const ms = Number(url.searchParams.get('ms') || 1000);
    if (!Number.isInteger(ms) || ms < 0 || ms > LONGEST_SLOW_MS) {
      sendJson(response, 400, { error: `ms is '${url.searchParams.get('ms')}'; it takes 0 to ${LONGEST_SLOW_MS}` });
      return;
    }
    setTimeout(() => sendJson(response, 200, { waited_ms: ms, version }), ms);
  },
  '/memory': (url, response) => {
    const mib = Number(url.searchParams.get('mib') || 1);
    if (!Number.isInteger(mib) || mib < 0 || mib > MOST_MEMORY_MIB) {
      sendJson(response, 400, { error: `mib is '${url.searchParams.get('mib')}'; it takes 0 to ${MOST_MEMORY_MIB}` });
      return;
    }
    held.push(Buffer.alloc(mib * 1048576, 1));
    sendJson(response, 200, { held_mib: held.reduce((sum, part) => sum + part.length / 1048576, 0), version });
  },
};

const server = http.createServer((request, response) => {
  idle.delete(request.socket);
  response.on('close', () => {
    if (!request.socket.destroyed) idle.add(request.socket);
  });
  const url = new URL(request.url, 'http://localhost');
  const route = routes[url.pathname];
  request.resume();
  if (route) route(url, response);
  else sendJson(response, 404, { error: `there is no ${url.pathname}` });
});

// Longer than the proxy keeps idle connections, so that it is never this side that closes one.
server.keepAliveTimeout = 75000;
server.headersTimeout = 80000;
server.on('connection', (socket) => {
  idle.add(socket);
  socket.on('close', () => idle.delete(socket));
});

process.on('SIGTERM', () => {
  if (draining) return;
  draining = true;
  log('draining', { signal: 'SIGTERM' });
  // http.Server's own close() would also cut idle connections, on which the proxy may be sending at this moment.
  net.Server.prototype.close.call(server, () => {
    log('stopped');
    process.exit(0);
  });
  setInterval(() => idle.forEach((socket) => socket.destroy()), DRAIN_IDLE_MS);
});

server.listen(port, '127.0.0.1', 511, () => log('listening', { port }));
