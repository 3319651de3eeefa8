// node gateway.js fastify|express PORT PORT-OF-SERVICE: GET /hello?name=… is a message to the service.
import 'reflect-metadata';
import { Controller, Get, Inject, Module, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientsModule, Transport } from '@nestjs/microservices';

const [framework, port, service] = process.argv.slice(2);

class Front {
  constructor(client) {
    this.client = client;
  }
  hello(name) {
    return this.client.send('hello.say', { name });
  }
}
Get('hello')(Front.prototype, 'hello', Object.getOwnPropertyDescriptor(Front.prototype, 'hello'));
Query('name')(Front.prototype, 'hello', 0);
Inject('HELLO')(Front, undefined, 0);
Controller()(Front);

class App {}
Module({
  imports: [ClientsModule.register([{ name: 'HELLO', transport: Transport.TCP, options: { host: '127.0.0.1', port: Number(service) } }])],
  controllers: [Front],
})(App);

const logger = ['error', 'warn'];
let app;
if (framework === 'fastify') {
  const { FastifyAdapter } = await import('@nestjs/platform-fastify');
  app = await NestFactory.create(App, new FastifyAdapter(), { logger });
} else {
  app = await NestFactory.create(App, { logger });
}
await app.listen(Number(port), '127.0.0.1');
console.log('ready');
