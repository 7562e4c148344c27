import { seededCustomer } from '../customers-table.ts';

/**
 * What a customer may look like. More than one value means that a write was sent whose outcome is unknown:
 * its answer never came, so both the value before and the value sent are right. None means that nothing is
 * known yet, and whatever comes first is right.
 */
export interface Expected {
  readonly names: readonly string[];
  readonly cities: readonly string[];
}

export type Field = keyof Expected;

const withoutDoubles = (values: readonly string[]): readonly string[] => [...new Set(values)];

/** What is expected of a customer that this run has not written to. */
export type Unwritten = (id: number) => Expected;

/** For a table that nobody else writes to since it was seeded. */
export const asSeeded: Unwritten = (id) => {
  const { name, city } = seededCustomer(id);
  return { names: [name], cities: [city] };
};

/** For a table with a history of its own. */
export const asFound: Unwritten = () => ({ names: [], cities: [] });

/**
 * Everything that a run of the load wrote, so that afterwards each row can be compared with the database.
 * Each id has one writer, so the last acknowledged value is the only right one.
 */
export class Expectations {
  readonly #written = new Map<number, Expected>();
  readonly #perhapsInserted = new Set<string>();
  readonly #unwritten: Unwritten;

  constructor(unwritten: Unwritten) {
    this.#unwritten = unwritten;
  }

  /** The customer under an id: as it was written last, else as one that was not written to. */
  of(id: number): Expected {
    return this.#written.get(id) ?? this.#unwritten(id);
  }

  inserted(id: number, name: string, city: string): void {
    this.#written.set(id, { names: [name], cities: [city] });
  }

  /** An insert without an answer: a row with this name may exist, under an id that nobody was told. */
  perhapsInserted(name: string): void {
    this.#perhapsInserted.add(name);
  }

  acknowledged(id: number, field: Field, value: string): void {
    this.#written.set(id, { ...this.of(id), [field]: [value] });
  }

  /** A write without an answer, or with an error that does not say whether it was done. */
  unknown(id: number, field: Field, value: string): void {
    const before = this.of(id);
    if (before[field].length === 0) return;
    this.#written.set(id, { ...before, [field]: withoutDoubles([...before[field], value]) });
  }

  written(): readonly (Expected & { readonly id: number })[] {
    return [...this.#written].map(([id, expected]) => ({ id, ...expected }));
  }

  namesPerhapsInserted(): readonly string[] {
    return [...this.#perhapsInserted];
  }
}
