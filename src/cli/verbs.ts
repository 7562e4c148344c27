import { approve } from './approve.ts';
import { completion } from './completion.ts';
import { explain } from './explain.ts';
import { importSql } from './import.ts';
import { lint } from './lint.ts';
import { plan } from './plan.ts';
import { repair } from './repair.ts';
import { report } from './report.ts';
import { resume } from './resume.ts';
import { retry } from './retry.ts';
import { rollback } from './rollback.ts';
import { status } from './status.ts';
import { suspend } from './suspend.ts';
import type { Verb } from './verb.ts';
import { verify } from './verify.ts';
import { version } from './version.ts';

/** All verbs, in the order in which `--help` lists them. */
export const verbs: readonly Verb[] = [
  status,
  explain,
  approve,
  suspend,
  resume,
  rollback,
  retry,
  verify,
  repair,
  report,
  plan,
  lint,
  importSql,
  completion,
  version,
];
