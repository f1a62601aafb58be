#!/usr/bin/env node
// Runs networks in ONNX Runtime for Espalier's worker: the back end exec, docs/BACKENDS.md. Reads a request a line on stdin,
// answers a line on stdout. `--version` prints the versions that decide how fast a network runs.
//
//   cd devices/adapters/onnxruntime && npm ci --ignore-scripts
//   espalier-worker … --backend exec --backend-config onnxruntime.json
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

// ESPALIER_ONNXRUNTIME: a folder whose node_modules hold another build of the package.
const require = createRequire(process.env.ESPALIER_ONNXRUNTIME ? `${process.env.ESPALIER_ONNXRUNTIME}/` : import.meta.url);
const ort = require('onnxruntime-node');

if (process.argv[2] === '--version') {
  const known = ort.env?.versions ?? {};
  console.log(`onnxruntime ${known.node ?? known.common ?? 'unknown'}, node ${process.versions.node}, ${process.platform} ${process.arch}`);
  process.exit(0);
}

const sessions = new Map(); // by model and threads: the network and the reference network

async function load({ model, input, shape, threads }) {
  const key = `${model} ${threads}`;
  const known = sessions.get(key);
  if (known) return known;
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all',
  });
  const bytes = await readFile(input);
  const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const made = { session, feeds: { [session.inputNames[0]]: new ort.Tensor('float32', floats, shape) } };
  sessions.set(key, made);
  return made;
}

async function answer(request) {
  const { session, feeds } = await load(request);
  if (request.output) {
    const { data } = (await session.run(feeds))[session.outputNames[0]];
    await writeFile(request.output, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  const samples = [];
  for (let i = 0; i < request.samples; i++) {
    const begun = process.hrtime.bigint();
    for (let k = 0; k < request.runs; k++) await session.run(feeds);
    samples.push(Number(process.hrtime.bigint() - begun) / 1e3 / request.runs);
  }
  return { samples_us: samples };
}

function failure(error) {
  const message = String(error?.message ?? error).slice(0, 400);
  if (/bad_alloc|out of memory|allocate/i.test(message)) return { error: 'oom', message };
  if (/not implemented|NOT_IMPLEMENTED|unsupported/i.test(message)) return { error: 'unsupported', message };
  return { error: 'crashed', message };
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(JSON.parse(line)).catch(failure);
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
