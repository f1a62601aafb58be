// Bundles the dashboard into dist/: hashed script and style, an index.html that names them. Same sources, same bytes.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, 'dist');

const result = await build({
  absWorkingDir: here,
  entryPoints: ['src/main.tsx'],
  bundle: true,
  minify: true,
  write: false,
  outdir: 'dist',
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  loader: { '.css': 'css' },
});

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
let page = readFileSync(join(here, 'index.html'), 'utf8');
for (const file of result.outputFiles) {
  const kind = file.path.endsWith('.css') ? 'css' : 'js';
  const hash = createHash('sha256').update(file.contents).digest('hex').slice(0, 12);
  const name = `app.${hash}.${kind}`;
  writeFileSync(join(out, name), file.contents);
  page = page.replace(`app.${kind}`, name);
}
writeFileSync(join(out, 'index.html'), page);
writeFileSync(join(out, 'favicon.svg'), readFileSync(join(here, 'favicon.svg')));
