/** Protections around outposts elsewhere. */
import { edit } from './support/switch.ts';
import type { Switch } from './support/switch.ts';

export const outpostSwitches: readonly Switch[] = [
  {
    rule: 'F',
    title: 'a group makes more of an outpost',
    edits: [
      edit(
        'server/api/authenticate.ts',
        'outpost === undefined && (await isSuperuser(ctx.db, user.id))',
        'await isSuperuser(ctx.db, user.id)',
      ),
    ],
    noticed: ['F40'],
  },
  {
    rule: 'F',
    title: 'an outpost speaks for providers of others',
    edits: [edit('server/outposts/served-by.ts', 'if (row === undefined) {', 'if (row === null) {')],
    noticed: ['F40'],
  },
  {
    rule: 'F',
    title: 'every outpost may attach to every link',
    edits: [edit('server/outposts/upgrade.ts', '?.outpost?.uuid === uuid', '?.outpost !== undefined')],
    noticed: ['F41'],
  },
  {
    rule: 'I',
    title: 'links are looked at now and then only',
    edits: [edit('server/context.ts', 'if (ended) parts.hub.recheck();', '')],
    noticed: ['I40'],
  },
  {
    rule: 'I',
    title: 'an outpost is believed where it stands in the log',
    edits: [edit('server/events/identity-log.ts', 'cursor.n <= end', 'end >= 0')],
    noticed: ['I41'],
  },
  {
    rule: 'F',
    title: 'the client secret signs wherever it is offered as well',
    edits: [
      edit(
        'outpost/login/verify-token.ts',
        "return offered.length === 1 && offered[0] === 'HS256';",
        "return offered.includes('HS256');",
      ),
    ],
    noticed: ['F42'],
  },
];
