// Made by dev/generate/types.ts from crds/schemachanges.segue.dev.yaml. Don't edit it; edit that, and run the generator.
/* oxlint-disable max-lines */
import type { SchemaNode } from './schema-node.ts';

/** The schema of a SchemaChange, rules included, without its status. */
export const crdSchema: SchemaNode = {
  type: 'object',
  required: ['spec'],
  'x-kubernetes-validations': [
    {
      rule: 'size(self.metadata.name) <= 63',
      message:
        'metadata.name must have at most 63 characters, because pods carry it in the label change.segue.dev/<name>; choose a shorter name',
    },
    {
      rule: "oldSelf.?status.?phase.orValue('Pending') == 'Pending' || self.spec.change == oldSelf.spec.change",
      message:
        "spec.change can't be altered once the change has begun; set rollback: true to take this one back, and apply another SchemaChange for what you want instead",
    },
    {
      rule: "oldSelf.?status.?phase.orValue('Pending') == 'Pending' || self.spec.database.secretRef == oldSelf.spec.database.secretRef",
      message:
        "spec.database.secretRef can't be altered once the change has begun; to rotate credentials or move the server, edit the Secret itself",
    },
    {
      rule: "oldSelf.?status.?phase.orValue('Pending') == 'Pending' || self.spec.dualWrite.mode == oldSelf.spec.dualWrite.mode",
      message:
        "spec.dualWrite.mode can't be altered once the change has begun; set rollback: true to take this one back, and apply another SchemaChange with the mode you want",
    },
    {
      rule: "self.spec.rollback || !oldSelf.spec.rollback || !(oldSelf.?status.?phase.orValue('Pending') in ['RollingBack', 'RolledBack'])",
      message:
        "spec.rollback can't go back to false once the change is being rolled back; leave it true until the phase is RolledBack, then delete this SchemaChange and apply it again",
    },
  ],
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec: {
      type: 'object',
      required: ['database', 'change'],
      'x-kubernetes-validations': [
        {
          rule: "!has(self.readyAt) || {'AddColumn': 1, 'DualWrite': 2, 'Backfill': 3, 'SwitchReads': 4, 'Quarantine': 5, 'Drop': 6}[self.readyAt] <= {'AddColumn': 1, 'DualWrite': 2, 'Backfill': 3, 'SwitchReads': 4, 'Quarantine': 5, 'Drop': 6}[self.targetPhase]",
          message:
            'readyAt must not come after targetPhase, or Ready would never be True; name an earlier phase in readyAt or a later one in targetPhase',
        },
        {
          rule: "self.dualWrite.mode != 'Application' || has(self.change.replaceColumns) || has(self.change.renameColumn) || has(self.change.changeType)",
          message:
            'dualWrite.mode Application is for changes that put columns in the place of others; leave it out',
        },
        {
          rule: "self.dualWrite.mode != 'Application' || self.workloads.size() > 0",
          message:
            "dualWrite.mode Application relies on the application's code to write both sides, so list its Deployments under workloads, or use mode Trigger",
        },
        {
          rule: "self.dualWrite.mode != 'Application' || self.targetPhase == 'AddColumn' || self.workloads.all(w, w.mode != 'Manage' || w.releases.exists(r, r.phase == 'DualWrite'))",
          message:
            'with dualWrite.mode Application every workload in mode Manage needs a release of phase DualWrite (code writes-both); add it, or use dualWrite.mode Trigger',
        },
        {
          rule: "self.targetPhase in ['AddColumn', 'DualWrite', 'Backfill'] || has(self.change.dropColumn) || has(self.change.addConstraint) || has(self.change.createIndex) || has(self.change.sql) || (has(self.change.addColumn) && !has(self.change.addColumn.backfill)) || self.workloads.all(w, w.mode != 'Manage' || w.releases.exists(r, r.phase == 'SwitchReads'))",
          message:
            'every workload in mode Manage needs a release of phase SwitchReads (code reads-new or new-only), or the change would wait there for ever; add it, or set targetPhase: Backfill until you have it',
        },
        {
          rule: "!(self.targetPhase in ['Quarantine', 'Drop']) || has(self.change.addColumn) || has(self.change.addConstraint) || has(self.change.createIndex) || (has(self.change.sql) && !has(self.change.sql.contract)) || self.workloads.all(w, w.mode != 'Manage' || w.releases.exists(r, r.phase == 'Quarantine' || (has(r.code) && r.code == 'new-only')))",
          message:
            'every workload in mode Manage needs code that no longer uses the old columns before they are dropped: add a release of phase Quarantine, or set code: new-only on the SwitchReads release if that holds for it, or set targetPhase: SwitchReads until you have it',
        },
        {
          rule: "self.backfill.onBadRow != 'Skip' || ((!has(self.change.replaceColumns) || self.change.replaceColumns.to.all(c, c.nullable)) && (!has(self.change.addColumn) || self.change.addColumn.nullable))",
          message:
            'with backfill.onBadRow Skip some rows stay without a new value, so the new columns must be nullable; set nullable: true, or onBadRow: Hold',
        },
        {
          rule: 'self.workloads.all(w, !has(w.service) || !has(w.strategy) || (!has(w.strategy.blueGreen) && !(has(w.strategy.canary) && has(w.strategy.canary.httpRoute))) || self.workloads.exists_one(other, has(other.service) && other.service == w.service))',
          message:
            "a Service that is switched by blueGreen, or by a canary with httpRoute, can't be shared by several workloads, because its selector is narrowed to one of them; give each its own Service, or use rollingUpdate",
        },
      ],
      properties: {
        database: {
          type: 'object',
          required: ['secretRef'],
          properties: {
            secretRef: {
              type: 'object',
              required: ['name'],
              properties: {
                name: { type: 'string', minLength: 1, maxLength: 253 },
                key: { type: 'string', default: 'uri', minLength: 1, maxLength: 253 },
              },
            },
            replicas: {
              type: 'array',
              default: [],
              maxItems: 16,
              'x-kubernetes-list-type': 'map',
              'x-kubernetes-list-map-keys': ['name', 'key'],
              items: {
                type: 'object',
                required: ['name'],
                properties: {
                  name: { type: 'string', minLength: 1, maxLength: 253 },
                  key: { type: 'string', default: 'uri', minLength: 1, maxLength: 253 },
                },
              },
            },
          },
        },
        change: {
          type: 'object',
          'x-kubernetes-validations': [
            {
              rule: '[has(self.replaceColumns), has(self.renameColumn), has(self.changeType), has(self.addColumn), has(self.dropColumn), has(self.addConstraint), has(self.createIndex), has(self.sql)].filter(x, x).size() == 1',
              message:
                'set exactly one of replaceColumns, renameColumn, changeType, addColumn, dropColumn, addConstraint, createIndex and sql; for several changes apply several SchemaChanges',
            },
          ],
          properties: {
            replaceColumns: {
              type: 'object',
              required: ['table', 'from', 'to', 'forward', 'backward'],
              'x-kubernetes-validations': [
                {
                  rule: '!self.to.exists(c, c.name in self.from)',
                  message:
                    "a column can't be in both from and to, because old and new stand side by side until Drop; give the new column a name of its own",
                },
                {
                  rule: 'self.to.all(c, c.name in self.forward)',
                  message: 'every column in to needs an expression over the old columns under forward',
                  messageExpression:
                    "'forward needs an expression over the old columns for every column in to; add one for ' + self.to.map(c, !(c.name in self.forward), c.name)[0]",
                },
                {
                  rule: 'self.forward.all(name, self.to.exists(c, c.name == name))',
                  message:
                    'forward gives values to the columns in to alone; take other columns out of it, or add them to to',
                },
                {
                  rule: 'self.from.all(name, name in self.backward)',
                  message: 'every column in from needs an expression over the new columns under backward',
                  messageExpression:
                    "'backward needs an expression over the new columns for every column in from, so that old code goes on working; add one for ' + self.from.filter(name, !(name in self.backward))[0]",
                },
                {
                  rule: 'self.backward.all(name, name in self.from)',
                  message:
                    'backward gives values to the columns in from alone; take other columns out of it, or add them to from',
                },
              ],
              properties: {
                table: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 127,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                      message:
                        "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                    },
                  ],
                },
                from: {
                  type: 'array',
                  minItems: 1,
                  maxItems: 16,
                  'x-kubernetes-list-type': 'set',
                  items: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 63,
                    'x-kubernetes-validations': [
                      {
                        rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                        message:
                          "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                      },
                    ],
                  },
                },
                to: {
                  type: 'array',
                  minItems: 1,
                  maxItems: 16,
                  'x-kubernetes-list-type': 'map',
                  'x-kubernetes-list-map-keys': ['name'],
                  items: {
                    type: 'object',
                    required: ['name', 'type'],
                    properties: {
                      name: {
                        type: 'string',
                        minLength: 1,
                        maxLength: 63,
                        'x-kubernetes-validations': [
                          {
                            rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                            message:
                              "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                          },
                        ],
                      },
                      type: { type: 'string', minLength: 1, maxLength: 256 },
                      nullable: { type: 'boolean', default: true },
                      inherits: {
                        type: 'string',
                        minLength: 1,
                        maxLength: 63,
                        'x-kubernetes-validations': [
                          {
                            rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                            message:
                              "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                          },
                        ],
                      },
                    },
                  },
                },
                forward: {
                  type: 'object',
                  minProperties: 1,
                  maxProperties: 16,
                  additionalProperties: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 4096,
                    'x-kubernetes-validations': [
                      {
                        rule: "self.trim() != ''",
                        message: "write an SQL expression, such as first_name || ' ' || last_name",
                      },
                    ],
                  },
                },
                backward: {
                  type: 'object',
                  minProperties: 1,
                  maxProperties: 16,
                  additionalProperties: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 4096,
                    'x-kubernetes-validations': [
                      {
                        rule: "self.trim() != ''",
                        message: "write an SQL expression, such as first_name || ' ' || last_name",
                      },
                    ],
                  },
                },
              },
            },
            renameColumn: {
              type: 'object',
              required: ['table', 'from', 'to'],
              'x-kubernetes-validations': [
                {
                  rule: 'self.from != self.to',
                  message: 'from and to are the same name; write the new name in to',
                },
              ],
              properties: {
                table: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 127,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                      message:
                        "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                    },
                  ],
                },
                from: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 63,
                  'x-kubernetes-validations': [
                    {
                      rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                      message:
                        "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                    },
                  ],
                },
                to: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 63,
                  'x-kubernetes-validations': [
                    {
                      rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                      message:
                        "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                    },
                  ],
                },
              },
            },
            changeType: {
              type: 'object',
              required: ['table', 'column', 'to', 'forward', 'backward'],
              'x-kubernetes-validations': [
                {
                  rule: 'self.column != self.to.name',
                  message:
                    'to.name must differ from column, because old and new stand side by side until Drop; choose a name for the new column, such as total_cents beside total, and let new code use it',
                },
              ],
              properties: {
                table: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 127,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                      message:
                        "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                    },
                  ],
                },
                column: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 63,
                  'x-kubernetes-validations': [
                    {
                      rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                      message:
                        "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                    },
                  ],
                },
                to: {
                  type: 'object',
                  required: ['name', 'type'],
                  properties: {
                    name: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 63,
                      'x-kubernetes-validations': [
                        {
                          rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                          message:
                            "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                        },
                      ],
                    },
                    type: { type: 'string', minLength: 1, maxLength: 256 },
                    nullable: { type: 'boolean' },
                  },
                },
                forward: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 4096,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.trim() != ''",
                      message: 'write an SQL expression, such as (total * 100)::bigint',
                    },
                  ],
                },
                backward: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 4096,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.trim() != ''",
                      message: 'write an SQL expression, such as (total * 100)::bigint',
                    },
                  ],
                },
              },
            },
            addColumn: {
              type: 'object',
              required: ['table', 'name', 'type'],
              'x-kubernetes-validations': [
                {
                  rule: 'self.nullable || has(self.default) || has(self.backfill)',
                  message:
                    'with nullable false the rows that are there need a value; give default, or backfill with an expression over the other columns of the row',
                },
              ],
              properties: {
                table: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 127,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                      message:
                        "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                    },
                  ],
                },
                name: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 63,
                  'x-kubernetes-validations': [
                    {
                      rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                      message:
                        "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                    },
                  ],
                },
                type: { type: 'string', minLength: 1, maxLength: 256 },
                nullable: { type: 'boolean', default: true },
                default: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 4096,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.trim() != ''",
                      message: 'write an SQL expression, such as (total * 100)::bigint',
                    },
                  ],
                },
                backfill: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 4096,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.trim() != ''",
                      message: 'write an SQL expression, such as (total * 100)::bigint',
                    },
                  ],
                },
                unique: { type: 'boolean', default: false },
                check: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 4096,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.trim() != ''",
                      message: 'write an SQL expression, such as (total * 100)::bigint',
                    },
                  ],
                },
                references: {
                  type: 'object',
                  required: ['table', 'column'],
                  properties: {
                    table: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 127,
                      'x-kubernetes-validations': [
                        {
                          rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                          message:
                            "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                        },
                      ],
                    },
                    column: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 63,
                      'x-kubernetes-validations': [
                        {
                          rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                          message:
                            "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                        },
                      ],
                    },
                    onDelete: {
                      type: 'string',
                      enum: ['NoAction', 'Restrict', 'Cascade', 'SetNull', 'SetDefault'],
                      default: 'NoAction',
                    },
                  },
                },
              },
            },
            dropColumn: {
              type: 'object',
              required: ['table', 'column'],
              properties: {
                table: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 127,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                      message:
                        "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                    },
                  ],
                },
                column: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 63,
                  'x-kubernetes-validations': [
                    {
                      rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                      message:
                        "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                    },
                  ],
                },
              },
            },
            addConstraint: {
              type: 'object',
              required: ['table'],
              'x-kubernetes-validations': [
                {
                  rule: '[has(self.notNull), has(self.check), has(self.unique), has(self.foreignKey)].filter(x, x).size() == 1',
                  message:
                    'set exactly one of notNull, check, unique and foreignKey; for several constraints apply several SchemaChanges',
                },
              ],
              properties: {
                table: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 127,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                      message:
                        "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                    },
                  ],
                },
                notNull: {
                  type: 'object',
                  required: ['column'],
                  properties: {
                    column: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 63,
                      'x-kubernetes-validations': [
                        {
                          rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                          message:
                            "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                        },
                      ],
                    },
                  },
                },
                check: {
                  type: 'object',
                  required: ['name', 'expression'],
                  properties: {
                    name: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 63,
                      'x-kubernetes-validations': [
                        {
                          rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                          message:
                            "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                        },
                      ],
                    },
                    expression: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 4096,
                      'x-kubernetes-validations': [
                        {
                          rule: "self.trim() != ''",
                          message: 'write an SQL expression, such as (total * 100)::bigint',
                        },
                      ],
                    },
                  },
                },
                unique: {
                  type: 'object',
                  required: ['name', 'columns'],
                  properties: {
                    name: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 63,
                      'x-kubernetes-validations': [
                        {
                          rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                          message:
                            "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                        },
                      ],
                    },
                    columns: {
                      type: 'array',
                      minItems: 1,
                      maxItems: 16,
                      'x-kubernetes-list-type': 'set',
                      items: {
                        type: 'string',
                        minLength: 1,
                        maxLength: 63,
                        'x-kubernetes-validations': [
                          {
                            rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                            message:
                              "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                          },
                        ],
                      },
                    },
                  },
                },
                foreignKey: {
                  type: 'object',
                  required: ['name', 'columns', 'references'],
                  'x-kubernetes-validations': [
                    {
                      rule: 'self.columns.size() == self.references.columns.size()',
                      message:
                        'columns and references.columns go in pairs; list as many of the one as of the other',
                    },
                  ],
                  properties: {
                    name: {
                      type: 'string',
                      minLength: 1,
                      maxLength: 63,
                      'x-kubernetes-validations': [
                        {
                          rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                          message:
                            "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                        },
                      ],
                    },
                    columns: {
                      type: 'array',
                      minItems: 1,
                      maxItems: 16,
                      'x-kubernetes-list-type': 'set',
                      items: {
                        type: 'string',
                        minLength: 1,
                        maxLength: 63,
                        'x-kubernetes-validations': [
                          {
                            rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                            message:
                              "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                          },
                        ],
                      },
                    },
                    references: {
                      type: 'object',
                      required: ['table', 'columns'],
                      properties: {
                        table: {
                          type: 'string',
                          minLength: 1,
                          maxLength: 127,
                          'x-kubernetes-validations': [
                            {
                              rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                              message:
                                "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                            },
                          ],
                        },
                        columns: {
                          type: 'array',
                          minItems: 1,
                          maxItems: 16,
                          'x-kubernetes-list-type': 'set',
                          items: {
                            type: 'string',
                            minLength: 1,
                            maxLength: 63,
                            'x-kubernetes-validations': [
                              {
                                rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                                message:
                                  "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                              },
                            ],
                          },
                        },
                      },
                    },
                    onDelete: {
                      type: 'string',
                      enum: ['NoAction', 'Restrict', 'Cascade', 'SetNull', 'SetDefault'],
                      default: 'NoAction',
                    },
                  },
                },
              },
            },
            createIndex: {
              type: 'object',
              required: ['table', 'name', 'keys'],
              'x-kubernetes-validations': [
                {
                  rule: '!self.unique || self.method == "btree"',
                  message: 'only a btree index can be unique; take unique or method out',
                },
                {
                  rule: 'self.method == "btree" || self.keys.all(k, !has(k.order) && !has(k.nulls))',
                  message: 'only a btree index has an order; take order and nulls out, or method',
                },
              ],
              properties: {
                table: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 127,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                      message:
                        "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                    },
                  ],
                },
                name: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 63,
                  'x-kubernetes-validations': [
                    {
                      rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                      message:
                        "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                    },
                  ],
                },
                keys: {
                  type: 'array',
                  minItems: 1,
                  maxItems: 32,
                  items: {
                    type: 'object',
                    'x-kubernetes-validations': [
                      {
                        rule: 'has(self.column) != has(self.expression)',
                        message: 'a key is either a column or an expression; set exactly one of the two',
                      },
                    ],
                    properties: {
                      column: {
                        type: 'string',
                        minLength: 1,
                        maxLength: 63,
                        'x-kubernetes-validations': [
                          {
                            rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                            message:
                              "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                          },
                        ],
                      },
                      expression: {
                        type: 'string',
                        minLength: 1,
                        maxLength: 4096,
                        'x-kubernetes-validations': [
                          {
                            rule: "self.trim() != ''",
                            message: 'write an SQL expression, such as (total * 100)::bigint',
                          },
                        ],
                      },
                      operatorClass: { type: 'string', minLength: 1, maxLength: 63 },
                      order: { type: 'string', enum: ['Ascending', 'Descending'] },
                      nulls: { type: 'string', enum: ['First', 'Last'] },
                    },
                  },
                },
                unique: { type: 'boolean', default: false },
                method: { type: 'string', default: 'btree', minLength: 1, maxLength: 63 },
                include: {
                  type: 'array',
                  minItems: 1,
                  maxItems: 16,
                  'x-kubernetes-list-type': 'set',
                  items: {
                    type: 'string',
                    minLength: 1,
                    maxLength: 63,
                    'x-kubernetes-validations': [
                      {
                        rule: "size(bytes(self)) <= 63 && !(self.startsWith('\"') && self.endsWith('\"'))",
                        message:
                          "write the column's name as it is in the catalog, without quotes, such as full_name; it has at most 63 bytes",
                      },
                    ],
                  },
                },
                where: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 4096,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.trim() != ''",
                      message: 'write an SQL expression, such as (total * 100)::bigint',
                    },
                  ],
                },
              },
            },
            sql: {
              type: 'object',
              required: ['table'],
              'x-kubernetes-validations': [
                {
                  rule: 'has(self.expand) || has(self.contract)',
                  message: 'write a script in expand, contract or both',
                },
                {
                  rule: 'has(self.expand) || !has(self.undo)',
                  message: 'undo takes back what expand has made; there is no expand, so leave undo out',
                },
              ],
              properties: {
                table: {
                  type: 'string',
                  minLength: 1,
                  maxLength: 127,
                  'x-kubernetes-validations': [
                    {
                      rule: "self.matches('^[^.]+([.][^.]+)?$') && self.split('.').all(n, size(bytes(n)) <= 63 && !(n.startsWith('\"') && n.endsWith('\"')))",
                      message:
                        "write schema.table or table, without quotes and without the database's name, such as public.customers; each name has at most 63 bytes",
                    },
                  ],
                },
                expand: { type: 'string', minLength: 1, maxLength: 65536 },
                contract: { type: 'string', minLength: 1, maxLength: 65536 },
                undo: { type: 'string', minLength: 1, maxLength: 65536 },
                allowUnsafe: { type: 'boolean', default: false },
              },
            },
          },
        },
        dualWrite: {
          type: 'object',
          default: {},
          properties: { mode: { type: 'string', enum: ['Trigger', 'Application'], default: 'Trigger' } },
        },
        backfill: {
          type: 'object',
          default: {},
          properties: {
            targetBatchTime: {
              type: 'string',
              default: '100ms',
              maxLength: 32,
              pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
              'x-kubernetes-validations': [
                {
                  rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('10ms') && duration(self) <= duration('10s')",
                  message: 'write a duration from 10ms to 10s, such as 100ms',
                },
              ],
            },
            maxWorkers: { type: 'integer', format: 'int32', default: 2, minimum: 1, maximum: 32 },
            maxReplicaLag: {
              type: 'string',
              default: '10s',
              maxLength: 32,
              pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
              'x-kubernetes-validations': [
                {
                  rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('100ms') && duration(self) <= duration('1h')",
                  message: 'write a duration from 100ms to 1h, such as 10s',
                },
              ],
            },
            maxRowsPerSecond: { type: 'integer', format: 'int64', default: 0, minimum: 0 },
            onBadRow: { type: 'string', enum: ['Hold', 'Skip'], default: 'Hold' },
            window: {
              type: 'object',
              required: ['from', 'to'],
              properties: {
                from: { type: 'string', maxLength: 5, pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$' },
                to: { type: 'string', maxLength: 5, pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$' },
                timeZone: { type: 'string', default: 'UTC', minLength: 1, maxLength: 64 },
                days: {
                  type: 'array',
                  default: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'],
                  minItems: 1,
                  maxItems: 7,
                  'x-kubernetes-list-type': 'set',
                  items: { type: 'string', enum: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] },
                },
              },
            },
          },
        },
        verify: {
          type: 'object',
          default: {},
          properties: {
            mode: { type: 'string', enum: ['Full', 'Sample', 'None'], default: 'Full' },
            samplePercent: { type: 'integer', format: 'int32', default: 10, minimum: 1, maximum: 99 },
          },
        },
        quarantine: {
          type: 'object',
          default: {},
          properties: {
            duration: {
              type: 'string',
              default: '24h',
              maxLength: 32,
              pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
              'x-kubernetes-validations': [
                {
                  rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",
                  message:
                    'write a duration from 1s to 8760h in hours, minutes or seconds, such as 24h or 168h',
                },
              ],
            },
            mode: { type: 'string', enum: ['Observe', 'Hide'], default: 'Observe' },
            hideFor: {
              type: 'string',
              default: '10m',
              maxLength: 32,
              pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
              'x-kubernetes-validations': [
                {
                  rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('1s') && duration(self) <= duration('720h')",
                  message:
                    'write a duration from 1s to 720h in hours, minutes or seconds, such as 10m or 24h',
                },
              ],
            },
            onUse: { type: 'string', enum: ['Restart', 'Hold'], default: 'Restart' },
            wildcards: { type: 'string', enum: ['Use', 'Ignore'], default: 'Use' },
            ignoreStatements: {
              type: 'array',
              default: [],
              maxItems: 100,
              'x-kubernetes-list-type': 'set',
              items: { type: 'string', maxLength: 20, pattern: '^-?[0-9]{1,19}$' },
            },
          },
        },
        drop: {
          type: 'object',
          default: {},
          properties: {
            deadLetters: { type: 'string', enum: ['Refuse', 'Discard'], default: 'Refuse' },
            archive: { type: 'boolean', default: false },
          },
        },
        locks: {
          type: 'object',
          default: {},
          properties: {
            timeout: {
              type: 'string',
              default: '500ms',
              maxLength: 32,
              pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
              'x-kubernetes-validations': [
                {
                  rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('10ms') && duration(self) <= duration('1m')",
                  message: 'write a duration from 10ms to 1m, such as 500ms',
                },
              ],
            },
            giveUpAfter: {
              type: 'string',
              default: '1h',
              maxLength: 32,
              pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
              'x-kubernetes-validations': [
                {
                  rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('1s') && duration(self) <= duration('168h')",
                  message: 'write a duration from 1s to 168h, such as 1h',
                },
              ],
            },
          },
        },
        workloads: {
          type: 'array',
          default: [],
          maxItems: 16,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['deployment'],
          items: {
            type: 'object',
            required: ['deployment'],
            'x-kubernetes-validations': [
              {
                rule: '!has(self.strategy) || !has(self.strategy.blueGreen) || has(self.service)',
                message:
                  'strategy blueGreen switches a Service from the old pods to the new ones, so name it in service; a Deployment without a Service uses strategy rollingUpdate',
              },
              {
                rule: '!has(self.strategy) || !has(self.strategy.canary) || !has(self.strategy.canary.httpRoute) || has(self.service)',
                message:
                  'canary.httpRoute divides what the route sends to a Service, so name that one in service',
              },
              {
                rule: "self.mode != 'Manage' || has(self.strategy) || self.releases.all(r, has(r.toggle))",
                message:
                  'mode Manage rolls the code out, so set strategy.blueGreen, canary or rollingUpdate; if Git or another controller rolls it out, set mode: Observe',
              },
              {
                rule: "self.mode != 'Manage' || self.releases.size() > 0",
                message:
                  'mode Manage rolls the code out, so list under releases what to run from which phase on; if Git or another controller rolls it out, set mode: Observe',
              },
              {
                rule: "self.mode != 'Manage' || self.releases.all(r, has(r.image) || has(r.env) || has(r.containers) || has(r.toggle))",
                message:
                  'in mode Manage every release says what differs from the code before it; set image, env, containers or several of them, or toggle',
              },
              {
                rule: "self.mode == 'Observe' || !has(self.kind) || self.kind == 'Deployment'",
                message:
                  'mode Manage rolls out Deployments alone; a workload of any other kind is rolled out by Git or its own controller, so set mode: Observe',
              },
              {
                rule: "self.mode != 'Observe' || !has(self.strategy)",
                message:
                  'in mode Observe Git or another controller rolls the code out and strategy has no effect; remove it, or set mode: Manage',
              },
              {
                rule: "self.mode != 'Observe' || !has(self.analysis)",
                message:
                  'in mode Observe Git or another controller rolls the code out, so there is no step to analyse; remove analysis, or set mode: Manage',
              },
              {
                rule: "self.mode != 'Observe' || self.releases.all(r, !has(r.image) && !has(r.env) && !has(r.container) && !has(r.containers) && !has(r.toggle))",
                message:
                  'in mode Observe the code comes from Git or another controller; remove image, env, container, containers and toggle from releases, or set mode: Manage',
              },
              {
                rule: '!has(self.services) || (has(self.service) && !(self.service in self.services))',
                message:
                  'services lists further Services beside the one in service; name one of them in service, and each only once',
              },
              {
                rule: '!has(self.strategy) || !has(self.strategy.blueGreen) || !has(self.strategy.blueGreen.preview) || (has(self.service) && self.strategy.blueGreen.preview != self.service && (!has(self.services) || !(self.strategy.blueGreen.preview in self.services)))',
                message:
                  'blueGreen.preview is a Service of its own, for those who try the new code before everybody else; name one that is neither service nor among services',
              },
            ],
            properties: {
              kind: {
                type: 'string',
                enum: ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Rollout', 'CronJob'],
              },
              deployment: { type: 'string', minLength: 1, maxLength: 253 },
              service: { type: 'string', minLength: 1, maxLength: 63 },
              services: {
                type: 'array',
                minItems: 1,
                maxItems: 8,
                'x-kubernetes-list-type': 'set',
                items: { type: 'string', minLength: 1, maxLength: 63 },
              },
              mode: { type: 'string', enum: ['Manage', 'Observe'], default: 'Manage' },
              strategy: {
                type: 'object',
                'x-kubernetes-validations': [
                  {
                    rule: '[has(self.blueGreen), has(self.canary), has(self.rollingUpdate)].filter(x, x).size() == 1',
                    message: 'set exactly one of blueGreen, canary and rollingUpdate',
                  },
                ],
                properties: {
                  blueGreen: {
                    type: 'object',
                    properties: {
                      settle: {
                        type: 'string',
                        default: '10s',
                        maxLength: 32,
                        pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
                        'x-kubernetes-validations': [
                          {
                            rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) <= duration('1h')",
                            message: 'write a duration from 0s to 1h, such as 10s',
                          },
                        ],
                      },
                      scaleDownDelay: {
                        type: 'string',
                        maxLength: 32,
                        pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
                        'x-kubernetes-validations': [
                          {
                            rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) <= duration('24h')",
                            message: 'write a duration from 0s to 24h, such as 10m',
                          },
                        ],
                      },
                      preview: { type: 'string', minLength: 1, maxLength: 63 },
                    },
                  },
                  canary: {
                    type: 'object',
                    required: ['steps'],
                    'x-kubernetes-validations': [
                      {
                        rule: 'has(self.httpRoute) || self.steps.all(s, s.weight >= 1 && s.weight <= 50)',
                        message:
                          'without httpRoute weights come from numbers of pods and go from 1 to 50, where there are as many new pods as old ones; set httpRoute for more',
                      },
                      {
                        rule: 'has(self.headers) || self.steps.all(s, s.weight >= 1)',
                        message:
                          'a step with weight 0 serves testers alone, so say in headers how they are known; else give it a weight from 1 on',
                      },
                      {
                        rule: '!has(self.headers) || has(self.httpRoute)',
                        message:
                          "a Service can't tell requests apart by their headers; name an HTTPRoute in httpRoute",
                      },
                    ],
                    properties: {
                      httpRoute: {
                        type: 'string',
                        minLength: 1,
                        maxLength: 253,
                        pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
                      },
                      headers: {
                        type: 'object',
                        minProperties: 1,
                        maxProperties: 8,
                        'x-kubernetes-validations': [
                          {
                            rule: "self.all(name, name.size() <= 256 && name.matches(\"^[A-Za-z0-9!#$%&'*+.^_|~-]+$\") && self[name] != '')",
                            message:
                              'headers maps the name of an HTTP header to the value that it must have, such as x-canary: always',
                          },
                        ],
                        additionalProperties: { type: 'string', maxLength: 4096 },
                      },
                      steps: {
                        type: 'array',
                        minItems: 1,
                        maxItems: 16,
                        'x-kubernetes-list-type': 'atomic',
                        'x-kubernetes-validations': [
                          {
                            rule: 'self.map(s, s.weight).isSorted()',
                            message: 'weights grow from step to step; put the steps in order',
                          },
                        ],
                        items: {
                          type: 'object',
                          required: ['weight'],
                          properties: {
                            weight: { type: 'integer', format: 'int32', minimum: 0, maximum: 100 },
                            pause: {
                              type: 'string',
                              default: '60s',
                              maxLength: 32,
                              pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
                              'x-kubernetes-validations': [
                                {
                                  rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) <= duration('24h')",
                                  message: 'write a duration from 0s to 24h, such as 60s',
                                },
                              ],
                            },
                          },
                        },
                      },
                    },
                  },
                  rollingUpdate: { type: 'object' },
                },
              },
              analysis: {
                type: 'array',
                maxItems: 8,
                'x-kubernetes-list-type': 'atomic',
                items: {
                  type: 'object',
                  'x-kubernetes-validations': [
                    {
                      rule: '[has(self.prometheus), has(self.http), has(self.sql)].filter(x, x).size() == 1',
                      message: 'set exactly one of prometheus, http and sql',
                    },
                    {
                      rule: 'has(self.successCondition) || has(self.failureCondition) || (has(self.http) && !has(self.http.jsonPath))',
                      message:
                        'say what is good or bad, such as successCondition: result < 0.01; http without jsonPath alone may do without, for its status says so',
                    },
                  ],
                  properties: {
                    name: { type: 'string', maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' },
                    prometheus: {
                      type: 'object',
                      required: ['address', 'query'],
                      properties: {
                        address: { type: 'string', maxLength: 2048, pattern: '^https?://[^\\s]+$' },
                        query: { type: 'string', minLength: 1, maxLength: 4096 },
                      },
                    },
                    http: {
                      type: 'object',
                      required: ['url'],
                      properties: {
                        url: { type: 'string', maxLength: 2048, pattern: '^https?://[^\\s]+$' },
                        method: { type: 'string', enum: ['GET', 'HEAD', 'POST'], default: 'GET' },
                        headers: {
                          type: 'object',
                          maxProperties: 16,
                          additionalProperties: { type: 'string', maxLength: 1024 },
                        },
                        jsonPath: { type: 'string', minLength: 1, maxLength: 256 },
                        expectedStatus: { type: 'integer', format: 'int32', minimum: 100, maximum: 599 },
                      },
                    },
                    sql: {
                      type: 'object',
                      required: ['query'],
                      properties: { query: { type: 'string', minLength: 1, maxLength: 4096 } },
                    },
                    successCondition: { type: 'string', minLength: 1, maxLength: 1024 },
                    failureCondition: { type: 'string', minLength: 1, maxLength: 1024 },
                    when: { type: 'string', enum: ['BeforeSwitch', 'AfterSwitch', 'Always'] },
                    interval: {
                      type: 'string',
                      default: '10s',
                      maxLength: 32,
                      pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
                      'x-kubernetes-validations': [
                        {
                          rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('1s') && duration(self) <= duration('1h')",
                          message: 'write a duration from 1s to 1h, such as 10s',
                        },
                      ],
                    },
                    timeout: {
                      type: 'string',
                      default: '5s',
                      maxLength: 32,
                      pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
                      'x-kubernetes-validations': [
                        {
                          rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('100ms') && duration(self) <= duration('10s')",
                          message: 'write a duration from 100ms to 10s, such as 5s',
                        },
                      ],
                    },
                    count: { type: 'integer', format: 'int32', minimum: 1, maximum: 1000 },
                    failureLimit: { type: 'integer', format: 'int32', default: 0, minimum: 0, maximum: 1000 },
                    inconclusiveLimit: {
                      type: 'integer',
                      format: 'int32',
                      default: 0,
                      minimum: 0,
                      maximum: 1000,
                    },
                    consecutiveErrorLimit: {
                      type: 'integer',
                      format: 'int32',
                      default: 4,
                      minimum: 0,
                      maximum: 1000,
                    },
                  },
                },
              },
              releases: {
                type: 'array',
                default: [],
                maxItems: 3,
                'x-kubernetes-list-type': 'map',
                'x-kubernetes-list-map-keys': ['phase'],
                items: {
                  type: 'object',
                  required: ['phase'],
                  'x-kubernetes-validations': [
                    {
                      rule: "!has(self.code) || (self.phase == 'DualWrite' && self.code == 'writes-both') || (self.phase == 'SwitchReads' && self.code in ['reads-new', 'new-only']) || (self.phase == 'Quarantine' && self.code == 'new-only')",
                      message:
                        'code must fit the phase, because what it reads must be there and what others read must be written: writes-both for DualWrite, reads-new or new-only for SwitchReads, new-only for Quarantine',
                    },
                    {
                      rule: '!has(self.containers) || !has(self.container) || self.containers.all(c, c.name != self.container)',
                      message:
                        'a container is named either in container, with image and env beside it, or in containers, not in both',
                    },
                    {
                      rule: '!has(self.toggle) || (!has(self.image) && !has(self.env) && !has(self.container) && !has(self.containers))',
                      message:
                        'a toggle takes no new pods and the other members do, so a release has either; split it into two releases of different phases',
                    },
                    {
                      rule: '!has(oldSelf.toggle) || has(self.toggle)',
                      message:
                        "toggle can't be taken out of a release, for nothing would say any more which pods have taken it on; set rollback, or delete the resource",
                    },
                  ],
                  properties: {
                    phase: { type: 'string', enum: ['DualWrite', 'SwitchReads', 'Quarantine'] },
                    code: { type: 'string', enum: ['writes-both', 'reads-new', 'new-only'] },
                    toggle: {
                      type: 'object',
                      required: ['configMap', 'data', 'acknowledge'],
                      'x-kubernetes-validations': [
                        {
                          rule: "self.acknowledge == 'Delay' || !has(self.after)",
                          message:
                            'after is how long to wait with acknowledge: Delay; with Annotation the pods say themselves when they are ready, so remove it',
                        },
                        {
                          rule: 'self.configMap == oldSelf.configMap',
                          message:
                            "the ConfigMap of a toggle can't be changed, for the former one would keep its values; delete the resource and apply it anew",
                        },
                      ],
                      properties: {
                        configMap: { type: 'string', minLength: 1, maxLength: 253 },
                        data: {
                          type: 'object',
                          minProperties: 1,
                          maxProperties: 16,
                          'x-kubernetes-validations': [
                            {
                              rule: "self.all(key, key.matches('^[-._a-zA-Z0-9]{1,253}$'))",
                              message:
                                'a key of a ConfigMap has letters, digits, "-", "_" and "." in it, such as READ_FROM',
                            },
                          ],
                          additionalProperties: { type: 'string', maxLength: 4096 },
                        },
                        acknowledge: { type: 'string', enum: ['Annotation', 'Delay'] },
                        after: {
                          type: 'string',
                          maxLength: 32,
                          pattern: '^([0-9]{1,5}(ms|s|m|h)){1,4}$',
                          'x-kubernetes-validations': [
                            {
                              rule: "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,4}$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",
                              message: 'write a duration from 1s to 24h, such as 2m',
                            },
                          ],
                        },
                      },
                    },
                    container: { type: 'string', minLength: 1, maxLength: 63 },
                    image: { type: 'string', minLength: 1, maxLength: 1024 },
                    env: {
                      type: 'object',
                      minProperties: 1,
                      maxProperties: 32,
                      'x-kubernetes-validations': [
                        {
                          rule: "self.all(name, name != '' && !name.contains('='))",
                          message:
                            'env maps a variable\'s name to its value, such as READ_FROM: full_name; a name is not empty and has no "=" in it',
                        },
                      ],
                      additionalProperties: { type: 'string', maxLength: 4096 },
                    },
                    containers: {
                      type: 'array',
                      minItems: 1,
                      maxItems: 8,
                      'x-kubernetes-list-type': 'map',
                      'x-kubernetes-list-map-keys': ['name'],
                      items: {
                        type: 'object',
                        required: ['name'],
                        'x-kubernetes-validations': [
                          {
                            rule: 'has(self.image) || has(self.env)',
                            message: 'say what differs for this container; set image, env or both',
                          },
                        ],
                        properties: {
                          name: { type: 'string', minLength: 1, maxLength: 63 },
                          image: { type: 'string', minLength: 1, maxLength: 1024 },
                          env: {
                            type: 'object',
                            minProperties: 1,
                            maxProperties: 32,
                            'x-kubernetes-validations': [
                              {
                                rule: "self.all(name, name != '' && !name.contains('='))",
                                message:
                                  'env maps a variable\'s name to its value, such as READ_FROM: full_name; a name is not empty and has no "=" in it',
                              },
                            ],
                            additionalProperties: { type: 'string', maxLength: 4096 },
                          },
                        },
                      },
                    },
                  },
                },
              },
            },
          },
        },
        approvals: {
          type: 'array',
          default: [],
          maxItems: 6,
          'x-kubernetes-list-type': 'set',
          items: {
            type: 'string',
            enum: ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine', 'Drop'],
          },
        },
        targetPhase: {
          type: 'string',
          enum: ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine', 'Drop'],
          default: 'Drop',
        },
        readyAt: {
          type: 'string',
          enum: ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine', 'Drop'],
        },
        suspend: { type: 'boolean', default: false },
        rollback: { type: 'boolean', default: false },
      },
    },
  },
};
