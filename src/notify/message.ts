/**
 * One message: what is sent of a SchemaChange's status. It leaves the cluster, so it has neither rows' keys nor
 * anything of a Secret. Pure.
 */
import { group, plural, version } from '../api/names.ts';
import type { SchemaChange, SchemaChangeStatus } from '../api/schema-change.ts';
import type { Occasion } from './occasions.ts';

/** How a message is written: for programs, or for Slack and those that take what Slack takes. */
export const formats = ['CloudEvents', 'Slack'] as const;
export type Format = (typeof formats)[number];

/** Something that happened to a SchemaChange. */
export interface Occurrence {
  readonly occasion: Occasion;
  /** The resource as it was when it was looked at, with its former status. */
  readonly resource: SchemaChange;
  readonly now: SchemaChangeStatus;
  readonly at: Date;
}

/** What is posted. */
export interface Message {
  /** The same for the same occurrence, whoever tells it, and different for any other. */
  readonly id: string;
  readonly contentType: string;
  readonly body: string;
}

/**
 * The version of the resource in which something was new: if the operator dies before its report is written, the next
 * one sees the same step from the same version, and tells it under the same id.
 */
const idOf = ({ occasion, resource: { metadata } }: Occurrence): string =>
  `${metadata.uid}.${metadata.resourceVersion}.${occasion}`;

/** Sentences about rows end in their keys, which may be anything, an e-mail address for one. */
const withoutKeys = (message: string, { metadata }: SchemaChange): string => {
  const [told = '', keys] = message.split(' Keys: ', 2);
  return keys === undefined
    ? message
    : `${told} For their keys and the way out: kubectl describe schange ${metadata.name} -n ${metadata.namespace}`;
};

const conditionOf = {
  AwaitingApproval: 'AwaitingApproval',
  CodeAhead: 'CodeAhead',
  Held: 'Stalled',
} as const satisfies Partial<Record<Occasion, string>>;

/** Reason and sentence: the condition's that it is about, else the summary's. */
const said = ({
  occasion,
  now,
}: Occurrence): { readonly reason: string | undefined; readonly message: string } => {
  const type = occasion in conditionOf ? conditionOf[occasion as keyof typeof conditionOf] : 'Ready';
  const condition = now.conditions?.find((candidate) => candidate.type === type);
  return { reason: condition?.reason, message: condition?.message ?? now.message ?? '' };
};

const dataOf = (occurrence: Occurrence) => {
  const { resource, now } = occurrence;
  const { apiVersion, kind, metadata, status: before } = resource;
  const { reason, message } = said(occurrence);
  return {
    apiVersion,
    kind,
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    generation: metadata.generation,
    table: now.table,
    phase: now.phase,
    previousPhase: before?.phase,
    progress: now.progress,
    reason,
    message: withoutKeys(message, resource),
  };
};

const pathOf = ({ metadata: { namespace, name } }: SchemaChange): string =>
  `/apis/${group}/${version}/namespaces/${namespace}/${plural}/${name}`;

/** https://github.com/cloudevents/spec, 1.0, structured mode. */
const asCloudEvent = (occurrence: Occurrence) => ({
  specversion: '1.0',
  id: idOf(occurrence),
  source: `${group}/operator`,
  type: `dev.segue.schemachange.${occurrence.occasion.toLowerCase()}`,
  subject: pathOf(occurrence.resource),
  time: occurrence.at.toISOString(),
  datacontenttype: 'application/json',
  data: dataOf(occurrence),
});

const happened: Readonly<Record<Occasion, string>> = {
  AwaitingApproval: 'waits for approval',
  Held: 'is held',
  Resumed: 'goes on',
  CodeAhead: 'has code ahead of its schema',
  PhaseChanged: 'is in another phase',
  Completed: 'is completed',
  RolledBack: 'is walked back',
};

/** Slack refuses longer texts of a block. */
const longestText = 2_900;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Never in the middle of an escape. */
const cut = (text: string): string => {
  const whole = escaped(text);
  return whole.length <= longestText ? whole : `${whole.slice(0, longestText).replace(/&[a-z]*$/, '')}…`;
};

const asSlack = (occurrence: Occurrence) => {
  const { namespace, name, phase, table = '', progress = '', reason = '', message } = dataOf(occurrence);
  const title = `*${namespace}/${name}* ${happened[occurrence.occasion]}`;
  const text = cut(message);
  const context = [phase, progress, table, reason].filter((part) => part !== undefined && part !== '');
  const markdown = (of: string) => ({ type: 'mrkdwn', text: of });
  return {
    text: `${title}: ${text}`,
    blocks: [
      { type: 'section', text: markdown(`${title}\n${text}`) },
      { type: 'context', elements: [markdown(cut(context.join(' · ')))] },
    ],
  };
};

/** The message for what happened. */
export const messageOf = (occurrence: Occurrence, format: Format): Message =>
  format === 'CloudEvents'
    ? {
        id: idOf(occurrence),
        contentType: 'application/cloudevents+json; charset=utf-8',
        body: JSON.stringify(asCloudEvent(occurrence)),
      }
    : {
        id: idOf(occurrence),
        contentType: 'application/json; charset=utf-8',
        body: JSON.stringify(asSlack(occurrence)),
      };
