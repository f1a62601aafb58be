// A whole Espalier for a test: daemon, worker and data in a folder of their own, ended and removed afterwards.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

const build = process.env.ESPALIER_BUILD;

/** Small numbers that look random and are the same every time. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** n grey images of 28 x 28 in ten classes: a bright bar whose place and direction is the class, in noise; as idx.gz files. */
function writeImages(dir, prefix, n, seed) {
  const random = generator(seed);
  const images = Buffer.alloc(16 + n * 784);
  const labels = Buffer.alloc(8 + n);
  images.writeUInt32BE(0x803, 0);
  [n, 28, 28].forEach((v, i) => images.writeUInt32BE(v, 4 + 4 * i));
  labels.writeUInt32BE(0x801, 0);
  labels.writeUInt32BE(n, 4);
  for (let i = 0; i < n; i++) {
    const label = Math.floor(random() * 10);
    labels[8 + i] = label;
    const at = 3 + (label % 5) * 5;
    for (let y = 0; y < 28; y++)
      for (let x = 0; x < 28; x++) {
        const along = label < 5 ? y : x;
        const on = along >= at && along < at + 3;
        images[16 + i * 784 + y * 28 + x] = Math.min(255, Math.floor(random() * 110 + (on ? 110 : 0)));
      }
  }
  writeFileSync(join(dir, `${prefix}-images-idx3-ubyte.gz`), gzipSync(images));
  writeFileSync(join(dir, `${prefix}-labels-idx1-ubyte.gz`), gzipSync(labels));
}

const space = {
  name: 'tiny', input_channels: 1, n_classes: 10, resolutions: [28],
  stem: { channels: 8, kernel_size: 3, stride: 2, act: 'h_swish' },
  stages: [
    { depths: [1, 2, 3], channels: [16], kernel_sizes: [3, 5], expand_ratios: [1, 2, 4], stride: 2, act: 'relu', se: false },
    { depths: [1, 2, 3], channels: [24], kernel_sizes: [3, 5], expand_ratios: [2, 4], stride: 2, act: 'h_swish', se: true },
  ],
  head: { expand_channels: 96, mix_channels: 0, act: 'h_swish' },
};

export class Stack {
  dir = mkdtempSync(join(tmpdir(), 'espalier-e2e-'));
  processes = [];

  #spawn(program, args, log) {
    const out = openSync(join(this.dir, log), 'a');
    const child = spawn(join(build, program), args, { stdio: ['ignore', out, out] });
    this.processes.push(child);
    return child;
  }

  /** Runs the command line client and returns what it prints. */
  cli(...args) {
    return execFileSync(join(build, 'daemon/cli/espalier'), args, { env: { ...process.env, ESPALIER_URL: this.url }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 240000 }).trim();
  }

  /** Runs a line of a shell that finds the client by its name, and returns what it prints. */
  shell(line) {
    return execFileSync('/bin/sh', ['-c', line], { env: { ...process.env, PATH: `${join(build, 'daemon/cli')}:${process.env.PATH}`, ESPALIER_URL: this.url }, encoding: 'utf8', timeout: 60000 }).trim();
  }

  /** options: further ones of the daemon. */
  async startDaemon(port = 0, options = []) {
    const portFile = join(this.dir, 'daemon/port');
    rmSync(portFile, { force: true });
    this.daemon = this.#spawn('daemon/espalierd', ['--data-dir', join(this.dir, 'daemon'), '--port', String(port), '--data-root', this.dir, '--job-program', join(build, 'daemon/job/espalier-job'), ...options], 'daemon.log');
    for (let i = 0; i < 200; i++) {
      if (existsSync(portFile)) {
        this.url = `http://127.0.0.1:${readFileSync(portFile, 'utf8').trim()}`;
        try {
          if ((await fetch(`${this.url}/readyz`)).ok) return;
        } catch { /* not listening yet */ }
      }
      if (this.daemon.exitCode !== null) break;
      await sleep(50);
    }
    throw new Error(`the daemon did not start:\n${readFileSync(join(this.dir, 'daemon.log'), 'utf8')}`);
  }

  addData() {
    const data = join(this.dir, 'bars');
    mkdirSync(data);
    writeImages(data, 'train', 2400, 1);
    writeImages(data, 't10k', 300, 2);
    writeFileSync(join(this.dir, 'tiny.json'), JSON.stringify(space));
    this.cli('dataset', 'add', 'bars', data, '--validation', '1000', '--wait');
    this.cli('space', 'add', join(this.dir, 'tiny.json'));
  }

  /** The board of a command that the page shows. It is simulated, and so quick, but with ESP_LONG=1; that real ones are measured is quickstart's matter. */
  startWorker(command) {
    const token = command.match(/ESPALIER_ENROL_TOKEN=(\S+)/)[1];
    const backend = process.env.ESP_LONG === '1' ? [] : ['--backend', 'sim', '--backend-config', 'gmacs=4,gbps=8,launch_us=20,noise=0.02'];
    this.worker = this.#spawn('devices/espalier-worker', ['--daemon', this.url, '--enrol', token, '--state-dir', join(this.dir, 'worker'), '--name', 'test-board', ...backend], 'worker.log');
  }

  /** A board without hardware; more: further settings of its model. */
  startSimulated(token, name, more = '') {
    this.#spawn('devices/espalier-worker', ['--daemon', this.url, '--enrol', token, '--state-dir', join(this.dir, name), '--name', name, '--salt', name, '--backend', 'sim', '--backend-config', `gmacs=2,gbps=1.5,noise=0.02${more}`], `${name}.log`);
  }

  async waitFor(what, read, seconds = 60) {
    for (let i = 0; i < seconds * 10; i++) {
      const value = await read();
      if (value) return value;
      await sleep(100);
    }
    throw new Error(`${what} did not happen within ${seconds} s\n${this.logs()}`);
  }

  async post(path, body) {
    const answer = await fetch(`${this.url}/api/v1${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async get(path) {
    const answer = await fetch(`${this.url}/api/v1${path}`);
    return answer.json();
  }

  logs() {
    return ['daemon.log', 'worker.log'].filter((name) => existsSync(join(this.dir, name))).map((name) => `--- ${name}\n${readFileSync(join(this.dir, name), 'utf8').split('\n').slice(-15).join('\n')}`).join('\n');
  }

  /** Ends what was begun, and removes the folder. What SIGTERM does not end within 30 s is killed, which is told as a failure. */
  async stop() {
    const killed = [];
    for (const child of this.processes.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const late = setTimeout(() => {
        killed.push(`${basename(child.spawnfile)} (${child.pid})`);
        child.kill('SIGKILL');
      }, 30000);
      await ended;
      clearTimeout(late);
    }
    const logs = this.logs();
    // What a daemon that was killed had begun writes on until it notices.
    if (!process.env.KEEP) rmSync(this.dir, { recursive: true, force: true, maxRetries: 50, retryDelay: 200 });
    if (killed.length > 0) throw new Error(`SIGTERM did not end ${killed.join(', ')} within 30 s: killed\n${logs}`);
  }
}
