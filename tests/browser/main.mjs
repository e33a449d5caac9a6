// Runs every browser test, or those whose name contains the first argument.

import { runAll } from './harness.mjs';

await import('./page.test.mjs');
await import('./engine.test.mjs');
await runAll();
