/** `/crypto/certificatekeypairs/` (spec/server.md 7.6 and 10.1). Outposts see what their providers serve. */
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  createKeypair,
  deleteKeypair,
  keypairByUuid,
  servedByOutpost,
  updateKeypair,
  viewKeypair,
} from '../certificates/keypairs.ts';
import type { KeypairInput } from '../certificates/keypairs.ts';
import type { ServerContext } from '../context.ts';
import type { KeypairRow } from '../storage/rows.ts';
import { certificateTag } from '../../contract/extension.ts';
import { actor, caller } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byUuid, flag, repeatable } from './fields.ts';
import { search } from './filters.ts';
import { listQuery, ordering, pageOf, pageOfQuery } from './list.ts';
import { Certificate, certificateObject } from './objects/certificate.ts';
import { noContent, operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const name = z.string().trim().min(1).max(255);
const pem = z.string().max(200_000);

const body = writable({ name, certificate_data: pem.min(1), key_data: pem.optional() }, [
  'pk',
  'fingerprint_sha256',
  'fingerprint_sha1',
  'cert_expiry',
  'cert_subject',
  'private_key_available',
  'key_type',
  'certificate_download_url',
  'private_key_download_url',
  'managed',
]);

const wish = writable(
  {
    common_name: z.string().trim().min(1).max(64),
    subject_alt_name: z.string().max(10_000).optional(),
    validity_days: z.int().min(1).max(36_500),
    alg: z.enum(['rsa', 'ecdsa']).optional(),
  },
  [],
);

const details = { include_details: flag.optional() };
const query = listQuery({
  ...details,
  name: z.string().optional(),
  managed: repeatable(z.string()),
  has_key: flag.optional(),
});
const download = z.strictObject({ download: z.string().optional() });
const Data = z.strictObject({ data: z.string() });

type Sent = z.output<typeof body.partial>;

const input = (sent: Sent): Partial<KeypairInput> =>
  defined({ name: sent.name, certificate: sent.certificate_data, key: sent.key_data });

/** `app.example.com, *.example.com, 10.0.0.5` */
const names = (text: string) =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value }));

export const certificateRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    const base = `${ctx.settings.webPath}api/v3/`;
    const answer = (row: KeypairRow, withDetails = true) => certificateObject(row, base, withDetails);

    /** The pair, when the caller may see it. */
    const visible = async (request: FastifyRequest, uuid: string): Promise<KeypairRow> => {
      const { superuser, outpost } = caller(request);
      const row = await keypairByUuid(ctx.db, uuid.toLowerCase());
      if (!row) throw notFound();
      if (!superuser && !(outpost && (await servedByOutpost(ctx.db, outpost.uuid, row.uuid)))) throw notFound();
      return row;
    };

    const view = async (request: FastifyRequest, reply: FastifyReply, what: 'certificate' | 'private_key') => {
      const row = await visible(request, (request.params as { uuid: string }).uuid);
      if (what === 'certificate') {
        const tag = certificateTag(row.certificate);
        void reply.header('etag', tag);
        if (request.headers['if-none-match'] === tag) return reply.code(304).send(); // nothing is shown
      }
      const data = await ctx.change((tx) => viewKeypair(tx, row, what), actor(request));
      if ((request.query as z.output<typeof download>).download === undefined) return { data };
      const file = `${row.name.replace(/[^A-Za-z0-9._-]+/g, '_')}_${what}.pem`;
      void reply.header('content-disposition', `attachment; filename="${file}"`).type('application/x-pem-file');
      return reply.serializer((text) => String(text)).send(data);
    };

    app.get(
      '/crypto/certificatekeypairs/',
      {
        schema: {
          querystring: query,
          ...operation('crypto_certificatekeypairs_list', 'List certificates', { 200: pageOf(Certificate) }),
        },
      },
      async (request) => {
        const q = request.query;
        let rows = ctx.db.selectFrom('certificate_keypair').selectAll('certificate_keypair');
        if (q.name !== undefined) rows = rows.where('name', '=', q.name);
        if (q.managed !== undefined) rows = rows.where('managed', 'in', q.managed);
        if (q.has_key === true) rows = rows.where('key', '!=', ''); // false asks for all, as published
        if (q.search) rows = rows.where(search(['name'], q.search));
        for (const [column, way] of ordering(q.ordering, { name: 'name' } as const, [['name', 'asc']])) {
          rows = rows.orderBy(column, way);
        }
        const shape = (page: KeypairRow[]) => page.map((row) => answer(row, q.include_details ?? true));
        return pageOfQuery(rows.orderBy('uuid'), q, shape);
      },
    );

    app.post(
      '/crypto/certificatekeypairs/',
      {
        schema: {
          body: body.full,
          ...operation('crypto_certificatekeypairs_create', 'Store a certificate', { 201: Certificate }),
        },
      },
      async (request, reply) => {
        const { name: called, certificate_data: certificate, key_data: key = '' } = request.body;
        const row = await ctx.change((tx) => createKeypair(tx, { name: called, certificate, key }), actor(request));
        return reply.code(201).send(answer(row));
      },
    );

    app.post(
      '/crypto/certificatekeypairs/generate/',
      {
        schema: {
          body: wish.full,
          ...operation('crypto_certificatekeypairs_generate_create', 'Make a self-signed certificate', {
            200: Certificate,
          }),
        },
      },
      async (request) => {
        const sent = request.body;
        const { makeCertificate } = await import('../../certificates/make.ts'); // seldom used, and not small
        const made = await makeCertificate({
          commonName: sent.common_name,
          names: names(sent.subject_alt_name ?? ''),
          validDays: sent.validity_days,
          alg: sent.alg ?? 'rsa',
        });
        const row = await ctx.change((tx) => createKeypair(tx, { name: sent.common_name, ...made }), actor(request));
        return answer(row);
      },
    );

    app.get(
      '/crypto/certificatekeypairs/:uuid/',
      {
        config: { access: ['superuser', 'outpost'] },
        schema: {
          params: byUuid,
          querystring: z.strictObject(details),
          ...operation('crypto_certificatekeypairs_retrieve', 'One certificate', { 200: Certificate }),
        },
      },
      async (request) => answer(await visible(request, request.params.uuid), request.query.include_details ?? true),
    );

    const change = async (request: FastifyRequest, uuid: string, sent: Sent) =>
      answer(await ctx.change((tx) => updateKeypair(tx, uuid.toLowerCase(), input(sent)), actor(request)));

    app.put(
      '/crypto/certificatekeypairs/:uuid/',
      {
        schema: {
          params: byUuid,
          body: body.full,
          ...operation('crypto_certificatekeypairs_update', 'Change a certificate', { 200: Certificate }),
        },
      },
      async (request) => change(request, request.params.uuid, request.body),
    );

    app.patch(
      '/crypto/certificatekeypairs/:uuid/',
      {
        schema: {
          params: byUuid,
          body: body.partial,
          ...operation('crypto_certificatekeypairs_partial_update', 'Change a certificate in part', {
            200: Certificate,
          }),
        },
      },
      async (request) => change(request, request.params.uuid, request.body),
    );

    app.delete(
      '/crypto/certificatekeypairs/:uuid/',
      {
        schema: {
          params: byUuid,
          ...operation('crypto_certificatekeypairs_destroy', 'Delete a certificate', { 204: noContent }),
        },
      },
      async (request, reply) => {
        await ctx.change((tx) => deleteKeypair(tx, request.params.uuid.toLowerCase()), actor(request));
        return reply.code(204).send();
      },
    );

    app.get(
      '/crypto/certificatekeypairs/:uuid/view_certificate/',
      {
        config: { access: ['superuser', 'outpost'] },
        schema: {
          params: byUuid,
          querystring: download,
          ...operation(
            'crypto_certificatekeypairs_view_certificate_retrieve',
            'Show the certificate; this is written to the audit log',
            { 200: Data },
          ),
        },
      },
      (request, reply) => view(request, reply, 'certificate') as Promise<{ data: string }>,
    );

    app.get(
      '/crypto/certificatekeypairs/:uuid/view_private_key/',
      {
        config: { access: ['superuser', 'outpost'] },
        schema: {
          params: byUuid,
          querystring: download,
          ...operation(
            'crypto_certificatekeypairs_view_private_key_retrieve',
            'Show the private key; this is written to the audit log',
            { 200: Data },
          ),
        },
      },
      (request, reply) => view(request, reply, 'private_key') as Promise<{ data: string }>,
    );
  };
