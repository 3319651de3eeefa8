// node node.js gateway PORT OWN-PORT PORT-OF-SERVICE | node node.js service OWN-PORT PORT-OF-GATEWAY
const { ServiceBroker } = require('moleculer');
const api = require('moleculer-web');

const [role, ...ports] = process.argv.slice(2);
const [own, other] = (role === 'gateway' ? ports.slice(1) : ports).map(Number);
const broker = new ServiceBroker({
  nodeID: role,
  namespace: 'bench',
  logger: { type: 'Console', options: { level: 'warn' } },
  transporter: {
    type: 'TCP',
    options: {
      udpDiscovery: false,
      port: own,
      urls: [`127.0.0.1:${role === 'gateway' ? own : other}/gateway`, `127.0.0.1:${role === 'gateway' ? other : own}/service`],
    },
  },
});

if (role === 'gateway') {
  broker.createService({
    name: 'api',
    mixins: [api],
    settings: { ip: '127.0.0.1', port: Number(ports[0]), routes: [{ path: '/', aliases: { 'GET hello': 'hello.say' }, mappingPolicy: 'restrict' }] },
  });
} else {
  broker.createService({
    name: 'hello',
    actions: {
      say: { params: { name: 'string' }, handler: (context) => ({ message: `hello ${context.params.name}` }) },
    },
  });
}
broker.start().then(() => console.log('ready'));
