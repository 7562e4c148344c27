/** The resource as the API server has it, made into facts. Pure. */
import {
  approveAnnotation,
  finalizer,
  repairAnnotation,
  retryAnnotation,
  verifyAnnotation,
} from '../api/names.ts';
import { phases } from '../api/phase.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import type { ResourceFacts } from '../phases/facts.ts';

interface ManagedFields {
  readonly manager?: string;
  readonly fieldsV1?: {
    readonly 'f:metadata'?: { readonly 'f:annotations'?: Readonly<Record<string, unknown>> };
  };
}

/** The field manager that wrote an annotation: the nearest that the API server keeps to a person's name. */
const writerOf = (resource: SchemaChange, annotation: string): string => {
  const { managedFields = [] } = resource.metadata as { readonly managedFields?: readonly ManagedFields[] };
  const writer = managedFields.findLast(
    ({ fieldsV1 }) => fieldsV1?.['f:metadata']?.['f:annotations']?.[`f:${annotation}`] !== undefined,
  );
  return writer?.manager ?? 'unknown';
};

/** What the phase machine is told of a resource. */
export const resourceFacts = (resource: SchemaChange): ResourceFacts => {
  const { metadata, spec } = resource;
  const approved = phases.find((phase) => phase === metadata.annotations?.[approveAnnotation]);
  return {
    uid: metadata.uid,
    namespace: metadata.namespace,
    name: metadata.name,
    ...(metadata.deletionTimestamp === undefined
      ? {}
      : { deletingSince: Date.parse(metadata.deletionTimestamp) }),
    protected: metadata.finalizers?.includes(finalizer) ?? false,
    ...(approved === undefined
      ? {}
      : { approval: { phase: approved, by: writerOf(resource, approveAnnotation) } }),
    retry: metadata.annotations?.[retryAnnotation] ?? '',
    repair: metadata.annotations?.[repairAnnotation] ?? '',
    verify: metadata.annotations?.[verifyAnnotation] ?? '',
    spec,
  };
};

/** A change that ended asks the database nothing more, so that its Secret may go and its server be shut down. */
export const isOver = ({ metadata, status }: SchemaChange): boolean =>
  metadata.deletionTimestamp === undefined &&
  (metadata.finalizers ?? []).length === 0 &&
  status?.observedGeneration === metadata.generation &&
  (status.phase === 'Completed' || status.phase === 'RolledBack');
