/** Tells the world outside what happens to SchemaChanges. */
import type { SchemaChange, SchemaChangeStatus } from '../api/schema-change.ts';
import { messageOf, type Format } from './message.ts';
import { occasionsOf, type Occasion } from './occasions.ts';
import type { Sender } from './sender.ts';

/** What a deployment of the operator chooses. */
export interface Notifying {
  /** Where messages are posted. Secret, as Slack's are. */
  readonly url: string;
  readonly format: Format;
  /** What is told. */
  readonly on: readonly Occasion[];
}

export interface NotifierOptions extends Pick<Notifying, 'format' | 'on'> {
  readonly sender: Pick<Sender, 'send'>;
  readonly now?: (() => Date) | undefined;
}

/** See the file's head. */
export class Notifier {
  readonly #options: NotifierOptions;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /**
   * Tells what is new in a status. Called before the status is written: what was told and not written is seen again
   * and told under the same id, while what was written and not told would be lost.
   */
  tell(resource: SchemaChange, status: SchemaChangeStatus): void {
    const { sender, format, on, now = () => new Date() } = this.#options;
    for (const occasion of occasionsOf(resource.status, status))
      if (on.includes(occasion))
        sender.send(messageOf({ occasion, resource, now: status, at: now() }, format));
  }
}
