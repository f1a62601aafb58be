// The browser of the tests, and what looks at its pages; of the packages of the dashboard.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ui = join(dirname(fileURLToPath(import.meta.url)), '../../web/ui');
/** A package that the dashboard is made or tested with. */
export const requireFromUi = createRequire(join(ui, 'package.json'));
/** Where screenshots are kept; undefined: nowhere. */
export const shots = process.env.SHOTS;
export const axe = readFileSync(requireFromUi.resolve('axe-core/axe.min.js'), 'utf8');

/** A real Chromium that asks nobody for anything of its own accord. */
export const launch = (...more) => requireFromUi('playwright-core').chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', ...more],
});

/** Accessibility faults of a page as it stands, small ones too. axe runs by evaluate, as the page's own policy forbids inline scripts. */
export async function faultsOf(page) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')}`);
}

/** Makes the page's window as large, until its charts have followed, which they do when it is laid out anew. */
export async function resize(page, width, height) {
  await page.setViewportSize({ width, height });
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))); }));
}

/** Red, green and blue of a colour of the style, as the page shows it now. */
export const shadeOf = (page, name) => page.evaluate((name) => {
  const probe = document.createElement('i');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const shade = getComputedStyle(probe).color.match(/\d+/g).map(Number);
  probe.remove();
  return shade;
}, name);
