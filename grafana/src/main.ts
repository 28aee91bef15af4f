// Writes every dashboard to the folder that the argument names.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './board';
import { callers } from './callers';
import { efficiency } from './efficiency';
import { gpu } from './gpu';
import { overview } from './overview';
import { runtime } from './runtime';

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: main FOLDER');
for (const board of [overview, efficiency, runtime, gpu, callers]) {
  const name = board.uid.replace('streamgauge-', '');
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(build(board), null, 2)}\n`);
}
