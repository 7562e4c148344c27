import { seededCustomer } from '../customers-table.ts';

/**
 * What a customer may look like. More than one value means that a write was sent whose outcome is unknown:
 * its answer never came, so both the value before and the value sent are right.
 */
export interface Expected {
  readonly names: readonly string[];
  readonly cities: readonly string[];
}

export type Field = keyof Expected;

const withoutDoubles = (values: readonly string[]): readonly string[] => [...new Set(values)];

/**
 * Everything that a run of the load wrote, so that afterwards each row can be compared with the database.
 * Each id has one writer, so the last acknowledged value is the only right one.
 */
export class Expectations {
  readonly #written = new Map<number, Expected>();
  readonly #perhapsInserted = new Set<string>();

  /** The customer under an id: as it was written last, else as the table was seeded. */
  of(id: number): Expected {
    const { name, city } = seededCustomer(id);
    return this.#written.get(id) ?? { names: [name], cities: [city] };
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
    this.#written.set(id, { ...before, [field]: withoutDoubles([...before[field], value]) });
  }

  written(): readonly (Expected & { readonly id: number })[] {
    return [...this.#written].map(([id, expected]) => ({ id, ...expected }));
  }

  namesPerhapsInserted(): readonly string[] {
    return [...this.#perhapsInserted];
  }
}
