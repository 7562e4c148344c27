import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The directory outside every checkout where built programs and the state of local clusters live:
 * `$SEGUE_CACHE`, else `$XDG_CACHE_HOME/segue`, else `~/.cache/segue`.
 */
export function cacheDirectory(): string {
  const { SEGUE_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  if (own !== undefined && own !== '') {
    if (!isAbsolute(own)) throw new Error(`SEGUE_CACHE must be an absolute path, not "${own}"`);
    return own;
  }
  // The XDG base directory specification says to ignore relative paths.
  return xdg !== undefined && isAbsolute(xdg) ? join(xdg, 'segue') : join(homedir(), '.cache', 'segue');
}
