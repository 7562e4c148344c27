import { join } from 'node:path';
import { build } from 'esbuild';
import { loadImage } from '../../dev/cluster/image.ts';
import { nodePath, nodeRuntimeFiles } from '../../dev/cluster/node-runtime.ts';
import { step } from '../../dev/cluster/progress.ts';
import { versions } from '../shop/customers.ts';
import { runChild } from '../child.ts';
import { buildDirectory, root } from '../places.ts';

const bundleTimeoutMs = 120_000;

async function bundleShop(): Promise<string> {
  const outfile = join(buildDirectory, 'shop.cjs');
  await build({
    entryPoints: [join(root, 'demo', 'shop', 'server.ts')],
    bundle: true,
    platform: 'node',
    // pg is CommonJS, and asks for a native client that it can do without.
    format: 'cjs',
    external: ['pg-native'],
    target: 'node24',
    logLevel: 'warning',
    outfile,
  });
  return outfile;
}

/** Builds the shop's two versions and puts them on the cluster's node, as `shop:1` and `shop:2`. */
export async function loadShopImages(): Promise<void> {
  const bundle = await bundleShop();
  const runtime = await nodeRuntimeFiles();
  for (const version of versions) {
    await step(`image shop:${version}`, () =>
      loadImage({
        name: `shop:${version}`,
        files: [...runtime, { kind: 'copy', from: bundle, to: '/app/shop.cjs' }],
        entrypoint: [nodePath, '/app/shop.cjs'],
        env: { SHOP_VERSION: version },
      }),
    );
  }
}

/** Builds the operator as `make operator-image` does and puts it on the cluster's node, as `segue:dev`. */
export async function loadOperatorImage(signal: AbortSignal): Promise<void> {
  await step('image segue:dev', async () => {
    await runChild('npm', ['run', '--silent', 'bundle', '--prefix', root], {
      signal,
      timeoutMs: bundleTimeoutMs,
    });
    const bundle = { kind: 'copy', from: join(buildDirectory, 'segue.mjs'), to: '/app/segue.mjs' } as const;
    // PostgreSQL's parser, which the bundle looks for beside itself.
    const parser = {
      kind: 'copy',
      from: join(buildDirectory, 'libpg-query.wasm'),
      to: '/app/libpg-query.wasm',
    } as const;
    await loadImage({
      name: 'segue:dev',
      files: [...(await nodeRuntimeFiles()), bundle, parser],
      entrypoint: [nodePath, bundle.to],
    });
  });
}
