// Runs every browser test, or those whose name contains the first argument.

import { runAll } from './harness.mjs';

await import('./page.test.mjs');
// With PAGE_ONLY=1, without an engine.
if (!process.env.PAGE_ONLY) await import('./engine.test.mjs');
await runAll();
