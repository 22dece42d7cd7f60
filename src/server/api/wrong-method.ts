/** A known address with a method it does not have: 405 with `Allow`, as Django REST framework answers (RFC 9110 15.5.6). */
import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify';

interface Address {
  methods: Set<string>;
  /** some method of it needs no credentials */
  open: boolean;
}

/**
 * Notes the addresses registered from now on, also by plugins inside.
 * @returns registers the refusals; to be called after the last route
 */
export function refuseWrongMethods(app: FastifyInstance): () => void {
  const addresses = new Map<string, Address>();
  app.addHook('onRoute', ({ routePath, method, config }) => {
    const address = addresses.get(routePath) ?? { methods: new Set(), open: false };
    for (const one of [method].flat()) address.methods.add(one);
    address.open ||= config?.access === 'anyone';
    addresses.set(routePath, address);
  });

  return () => {
    for (const [url, { methods, open }] of [...addresses]) {
      const allow = [...methods].toSorted().join(', ');
      // before the body is read: no media type makes the method right
      const onRequest: onRequestAsyncHookHandler = async (request, reply) => {
        const detail = `Method "${request.method}" not allowed.`;
        return reply.code(405).header('allow', allow).send({ detail });
      };
      app.route({
        method: app.supportedMethods.filter((method) => !methods.has(method)),
        url,
        config: { access: open ? 'anyone' : ['person', 'outpost'] },
        schema: { hide: true },
        onRequest,
        handler: () => {
          throw new TypeError('answered before');
        },
      });
    }
  };
}
