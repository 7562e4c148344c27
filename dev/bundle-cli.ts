/**
 * Makes build/kubectl-segue.mjs, the kubectl plugin as one file that needs Node alone: `node dev/bundle-cli.ts`.
 * PostgreSQL's parser, which comes as WebAssembly in a file of its own, is put into it.
 */
import { chmod, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const outfile = join(root, 'build/kubectl-segue.mjs');
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };

/** The parser's loader reads its binary from beside itself; here it is at hand. */
const embeddedParser: Plugin = {
  name: 'embedded-parser',
  setup: (build) =>
    build.onLoad({ filter: /libpg-query[/\\]wasm[/\\]libpg-query\.js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const place = 'async function getWasmBinary(binaryFile){';
      if (source.split(place).length !== 2)
        throw new Error(
          `${path} has no single "${place}" any more; see how its loader reads its binary now.`,
        );
      const embedded = source.replace(place, `${place}return embeddedBinary;`);
      return { contents: `import embeddedBinary from './libpg-query.wasm';\n${embedded}`, loader: 'js' };
    }),
};

await build({
  entryPoints: [join(root, 'src/cli/main.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  logLevel: 'warning',
  define: { SEGUE_VERSION: JSON.stringify(version) },
  loader: { '.wasm': 'binary' },
  plugins: [embeddedParser],
  banner: {
    js: [
      '#!/usr/bin/env node',
      "import { createRequire } from 'node:module';",
      'const require = createRequire(import.meta.url), __dirname = import.meta.dirname, __filename = import.meta.filename;',
      // An older Node would fail somewhere within, and say nothing that helps.
      "{ const [major, minor] = process.versions.node.split('.').map(Number);",
      'if (major < 24 || (major === 24 && minor < 9)) {',
      '  process.stderr.write(`kubectl-segue needs Node.js 24.9 or later; this is ${process.versions.node}.\\n`);',
      '  process.exit(2);',
      '} }',
    ].join('\n'),
  },
});
await chmod(outfile, 0o755);
console.log(relative(process.cwd(), outfile));
