// Bundles the dashboard into dist/: hashed script and style, an index.html that names them, the licences of what is in them. Same sources, same bytes.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { minify } from 'terser';

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
  legalComments: 'none', // licences.txt has them
  metafile: true,
  loader: { '.css': 'css' },
});

/** Of each package that gave something to the bundle: its name, version and licence, and the text of that. */
function licences({ inputs }) {
  const folders = new Set(Object.keys(inputs).flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
  return [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(here, folder, 'package.json'), 'utf8'));
    return `${name} ${version} (${license})\n\n${readFileSync(join(here, folder, 'LICENSE'), 'utf8').trim()}\n`;
  }).join(`\n${'-'.repeat(72)}\n\n`);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
let page = readFileSync(join(here, 'index.html'), 'utf8');
for (const file of result.outputFiles) {
  const kind = file.path.endsWith('.css') ? 'css' : 'js';
  // Of the bundle a second pass takes off another thirtieth. Functions stay where they are written: one that is kept for long stands apart from
  // the page that uses it, and moved in there would keep all that the page showed then.
  const contents = kind === 'css' ? file.text : (await minify(file.text, { module: true, ecma: 2022, compress: { passes: 2, inline: 0, reduce_funcs: false } })).code;
  const hash = createHash('sha256').update(contents).digest('hex').slice(0, 12);
  const name = `app.${hash}.${kind}`;
  writeFileSync(join(out, name), contents);
  page = page.replace(`app.${kind}`, name);
}
writeFileSync(join(out, 'index.html'), page);
writeFileSync(join(out, 'licences.txt'), licences(result.metafile));
writeFileSync(join(out, 'favicon.svg'), readFileSync(join(here, 'favicon.svg')));
