// node service.js PORT: answers hello.say over Nest's TCP transport.
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Transport } from '@nestjs/microservices';

// Decorators without a compiler: each is a function of what it decorates.
class Hello {
  say(input) {
    return { message: `hello ${input.name}` };
  }
}
MessagePattern('hello.say')(Hello.prototype, 'say', Object.getOwnPropertyDescriptor(Hello.prototype, 'say'));
Controller()(Hello);

class App {}
Module({ controllers: [Hello] })(App);

const app = await NestFactory.createMicroservice(App, {
  transport: Transport.TCP,
  options: { host: '127.0.0.1', port: Number(process.argv[2]) },
  logger: ['error', 'warn'],
});
await app.listen();
console.log('ready');
