/** A headless Chromium, as Debian packages it, driven over the DevTools protocol. It reaches the loopback alone. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { run } from '../cluster/command.ts';
import { installPackages } from '../cluster/prerequisites.ts';

const callTimeoutMs = 60_000;

type Json = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Json;
  readonly result?: Json;
  readonly error?: { readonly message: string };
}

/** Calls and events of the DevTools protocol over the browser's own pipe: JSON texts, each ended by a zero byte. */
class Pipe {
  readonly #out: Writable;
  readonly #calls = new Map<number, PromiseWithResolvers<Json>>();
  readonly #listeners: ((message: Message) => void)[] = [];
  #rest = '';
  #ids = 0;

  constructor(out: Writable, input: Readable) {
    this.#out = out;
    out.on('error', () => undefined);
    input.setEncoding('utf8').on('data', (text: string) => {
      const parts = (this.#rest + text).split('\0');
      this.#rest = parts.pop() ?? '';
      for (const part of parts) this.#receive(JSON.parse(part) as Message);
    });
    input.on('close', () => {
      for (const call of this.#calls.values()) call.reject(new Error('Chromium has ended.'));
    });
  }

  async call<T = Json>(method: string, params: Json = {}, sessionId?: string): Promise<T> {
    this.#ids += 1;
    const id = this.#ids;
    const call = Promise.withResolvers<Json>();
    this.#calls.set(id, call);
    const timer = setTimeout(() => call.reject(new Error(`${method} was not answered.`)), callTimeoutMs);
    this.#out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    try {
      return (await call.promise) as T;
    } finally {
      clearTimeout(timer);
      this.#calls.delete(id);
    }
  }

  listen(listener: (message: Message) => void): void {
    this.#listeners.push(listener);
  }

  #receive(message: Message): void {
    const call = message.id === undefined ? undefined : this.#calls.get(message.id);
    if (call === undefined) for (const listener of this.#listeners) listener(message);
    else if (message.error !== undefined) call.reject(new Error(message.error.message));
    else call.resolve(message.result ?? {});
  }
}

/** A node of the tree that assistive technology reads. */
export interface AccessibleNode {
  readonly role: string;
  readonly name: string;
}

interface RawNode {
  readonly ignored: boolean;
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
}

/** One tab. */
export class Tab {
  /** Every address that it asked for. */
  readonly requests: string[] = [];
  /** Errors and warnings of the console, and exceptions that nobody caught. */
  readonly complaints: string[] = [];
  readonly #pipe: Pipe;
  readonly #session: string;

  constructor(pipe: Pipe, session: string) {
    this.#pipe = pipe;
    this.#session = session;
    pipe.listen(({ sessionId, method, params = {} }) => {
      if (sessionId === session) this.#note(method, params);
    });
  }

  #note(method: string | undefined, params: Json): void {
    if (method === 'Network.requestWillBeSent')
      this.requests.push((params['request'] as { readonly url: string }).url);
    if (method === 'Runtime.exceptionThrown') this.complaints.push(JSON.stringify(params));
    if (method === 'Log.entryAdded')
      this.complaints.push((params['entry'] as { readonly text: string }).text);
    if (method === 'Runtime.consoleAPICalled') this.complaints.push(JSON.stringify(params['args']));
  }

  call<T = Json>(method: string, params: Json = {}): Promise<T> {
    return this.#pipe.call<T>(method, params, this.#session);
  }

  async open(url: string): Promise<void> {
    await this.call('Page.navigate', { url });
  }

  /** The value of an expression, awaited. @throws what it throws. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.call<{
      readonly result: { readonly value: T };
      readonly exceptionDetails?: { readonly exception?: { readonly description?: string } };
    }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? `${expression} failed.`);
    return result.value;
  }

  /** Text that a person sees. */
  text(selector = 'body'): Promise<string> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`);
  }

  async emulate(media: Readonly<Record<string, string>>): Promise<void> {
    const features = Object.entries(media).map(([name, value]) => ({ name, value }));
    await this.call('Emulation.setEmulatedMedia', { features });
  }

  async press(key: string, code: number, text?: string): Promise<void> {
    for (const type of ['keyDown', 'keyUp'])
      await this.call('Input.dispatchKeyEvent', { type, key, code: key, windowsVirtualKeyCode: code, text });
  }

  async accessibleNodes(): Promise<readonly AccessibleNode[]> {
    const { nodes } = await this.call<{ readonly nodes: readonly RawNode[] }>('Accessibility.getFullAXTree');
    return nodes
      .filter(({ ignored }) => !ignored)
      .map(({ role, name }) => ({ role: role?.value ?? '', name: name?.value ?? '' }));
  }

  /** PNG of the page's upper part. */
  async picture(width: number, height: number): Promise<Buffer> {
    await this.resize(width, height);
    const { data } = await this.call<{ readonly data: string }>('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data, 'base64');
  }

  async resize(width: number, height: number): Promise<void> {
    const size = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.call('Emulation.setDeviceMetricsOverride', size);
  }
}

/** The program, installed if it is missing; a few minutes the first time. */
const program = async (): Promise<string> => {
  const installed = async (): Promise<string> =>
    (await run('sh', ['-c', 'command -v chromium'])).stdout.trim();
  const found = await installed();
  if (found !== '') return found;
  // A font brings the signs of the page, which Debian's smallest set lacks.
  await installPackages(['chromium', 'fonts-dejavu-core']);
  return await installed();
};

export class Chromium {
  readonly #child: ChildProcess;
  readonly #pipe: Pipe;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    this.#pipe = new Pipe(child.stdio[3] as Writable, child.stdio[4] as Readable);
  }

  static async start(): Promise<Chromium> {
    const path = await program();
    const directory = mkdtempSync(join(tmpdir(), 'segue-chromium-'));
    const args = [
      '--headless',
      '--no-sandbox',
      '--remote-debugging-pipe',
      `--user-data-dir=${directory}`,
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-default-apps',
      '--disable-sync',
      '--no-first-run',
      '--hide-scrollbars',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ];
    // The kernel ends it when this process ends, however that happens.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', path, ...args], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, HOME: directory },
    });
    child.on('error', () => undefined);
    return new Chromium(child, directory);
  }

  /** A new tab that shows nothing yet. */
  async tab(): Promise<Tab> {
    const { targetId } = await this.#pipe.call<{ readonly targetId: string }>('Target.createTarget', {
      url: 'about:blank',
    });
    const { sessionId } = await this.#pipe.call<{ readonly sessionId: string }>('Target.attachToTarget', {
      targetId,
      flatten: true,
    });
    const tab = new Tab(this.#pipe, sessionId);
    for (const domain of ['Page', 'Runtime', 'Network', 'Log', 'Accessibility'])
      await tab.call(`${domain}.enable`);
    return tab;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.pid !== undefined) {
      const ended = once(this.#child, 'exit');
      // It ends its children itself; killed, it would leave them.
      await this.#pipe.call('Browser.close').catch(() => this.#child.kill('SIGKILL'));
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
