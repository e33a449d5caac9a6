// A real engine on loopback, with its own certificates and state in a folder that goes away: the binary as a room would run it.

import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const NAJDA = process.env.NAJDA ?? fileURLToPath(new URL('../../target/release/najda', import.meta.url));
const READY_MS = 30_000;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Engine {
  static async start(t) {
    const engine = new Engine();
    engine.folder = mkdtempSync(join(tmpdir(), 'najda-browser-'));
    t.after(() => engine.end());
    engine.certs = join(engine.folder, 'certs');
    engine.state = join(engine.folder, 'state');
    await run(NAJDA, ['certs', 'dev', '--dir', engine.certs, '--role', 'gateway/mobile-a-1']);
    [engine.quic, engine.console] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    engine.url = `http://${engine.console}`;
    await engine.run();
    return engine;
  }

  async run() {
    const engine = spawn(NAJDA, ['serve', '--listen', this.quic, '--console', this.console, '--console-plain', '--certs', this.certs, '--state', this.state], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = engine;
    this.ended = new Promise((resolve) => engine.once('exit', resolve));
    let said = '';
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the engine is not ready: ${said}`)), READY_MS);
      const hear = (data) => {
        said = (said + data).slice(-4_000);
        if (!/^ready /m.test(said)) return;
        clearTimeout(late);
        resolve();
      };
      engine.stdout.on('data', hear);
      engine.stderr.on('data', (data) => (said = (said + data).slice(-4_000)));
      engine.once('exit', (code) => reject(new Error(`the engine ended with ${code}: ${said}`)));
    });
  }

  /** The path of a link that signs a browser in at this seat. */
  async invite(seat, role = 'dispatcher') {
    const { stdout } = await run(NAJDA, ['console', 'invite', seat, '--role', role, '--state', this.state, '--url', this.url]);
    const link = stdout.split('\n').find((line) => line.includes('#invite='));
    return link.trim().slice(this.url.length);
  }

  async revoke(seat) {
    await run(NAJDA, ['console', 'revoke', seat, '--state', this.state]);
  }

  /** A contact, as a telephony gateway hands it in. */
  async send(fields) {
    const given = Object.entries(fields).flatMap(([name, value]) => [`--${name}`, String(value)]);
    await run(NAJDA, ['send', '--connect', this.quic, '--certs', this.certs, ...given]);
  }

  /** As `send`, by a gateway that stays until the contact has ended and brings every line to its caller. */
  stay(t, fields) {
    const given = Object.entries(fields).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const gateway = spawn(NAJDA, ['send', '--connect', this.quic, '--certs', this.certs, '--wait', 'ended', '--patience', '60', '--jsonl', ...given], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => gateway.kill());
    const heard = { text: '' };
    gateway.stdout.on('data', (data) => (heard.text += data));
    return heard;
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  async end() {
    if (this.process?.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
