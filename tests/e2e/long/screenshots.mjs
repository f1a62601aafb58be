// Pictures of a running daemon's dashboard, to be looked at, and those of the docs.
// usage: node screenshots.mjs URL DIR [SEARCH]     every page in six sizes, light and dark, into DIR
//        node screenshots.mjs URL --docs SEARCH    docs/images/*.png of a search (id) with its network of best accuracy
// DIST=FOLDER: that bundle in place of the daemon's own; ONLY=WORD: files with this in their names.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../browser.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const [url, target, named] = process.argv.slice(2);
const docs = target === '--docs';
const dir = docs ? join(root, 'docs/images') : target;
mkdirSync(dir, { recursive: true });
const get = async (path) => (await fetch(`${url}/api/v1${path}`)).json();
const newest = async (list) => (await get(`/${list}`)).items[0]?.id;
const browser = await launch();

/** A page in a window of its own. text: pixels of the usual text, as a person sets it in the browser. */
async function windowOf({ width, height, scale = 1, text = 16 }, scheme) {
  const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: scale, colorScheme: scheme, reducedMotion: 'reduce' });
  const page = await context.newPage();
  if (text !== 16) await (await context.newCDPSession(page)).send('Page.setFontSizes', { fontSizes: { standard: text, fixed: text - 3 } });
  const dist = process.env.DIST;
  if (dist) await page.route((u) => u.origin === url && !u.pathname.startsWith('/api'), (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    const file = readdirSync(dist).includes(name) ? name : 'index.html';
    return route.fulfill({ body: readFileSync(join(dist, file)), contentType: { js: 'text/javascript', css: 'text/css', html: 'text/html', svg: 'image/svg+xml' }[file.split('.').pop()] });
  });
  const open = async (hash) => {
    await page.goto('about:blank');
    await page.goto(`${url}/#/${hash}`);
    await page.locator('main h1').waitFor();
    await page.waitForLoadState('networkidle', { timeout: 3000 }).catch(() => undefined); // the stream of events stays open
    for (const still of [page.getByText('Reading…'), page.getByText('candidates read…')]) await still.first().waitFor({ state: 'detached', timeout: 120000 });
    await page.waitForTimeout(500);
  };
  return { page, context, open };
}

const sizes = {
  phone: { width: 360, height: 740, scale: 2 },
  desk: { width: 1440, height: 900 },
  '4k': { width: 3840, height: 2160 },
  '4k-double': { width: 1920, height: 1080, scale: 2 },
  'zoom-200': { width: 640, height: 400, scale: 2 },
  'text-200': { width: 1280, height: 800, text: 32 },
};

/** The pages by the names of their pictures; of what there is none of yet, null. */
async function addresses() {
  const all = (await get('/searches?page_size=1000')).items, search = named ?? all[0]?.id;
  const at = (id, address) => (id ? address(id) : null);
  const front = search ? (await get(`/searches/${search}/front`)).items ?? [] : [], space = search && (await get(`/searches/${search}`)).space;
  const others = all.filter((s) => s.front_size && s.id !== search).slice(0, 5).map((s) => s.id);
  const boards = all.find((s) => new Set(s.objectives.flatMap((o) => o.profile ?? [])).size > 1);
  return { overview: '', searches: 'searches', 'new-search': 'searches/new', search: at(search, (id) => `searches/${id}`), 'search-network': at(front[0], ({ arch_id }) => `searches/${search}?arch=${arch_id}`), supernets: 'supernets', supernet: at(await newest('supernets'), (id) => `supernets/${id}`), devices: 'devices', device: at(await newest('devices'), (id) => `devices/${id}`),
    jobs: 'jobs', job: at(await newest('jobs'), (id) => `jobs/${id}`), models: 'models', data: 'data', about: 'about', comparison: at(search, (id) => `searches/compare?of=${[id, ...others].join()}`), network: at(front[0], ({ arch }) => `archs/${space}?arch=${encodeURIComponent(arch)}&search=${search}`),
    'search-boards': at(boards, ({ id }) => `searches/${id}`), 'search-replay': at(search, (id) => `searches/${id}?by=generation&f=generation~~${Math.round(front.length / 4)}`), 'search-again': at(search, (id) => `searches/new?from=${id}`), 'add-board': 'devices?add=1', model: at(await newest('models'), (id) => `models/${id}`), space: at(space, (name) => `archs/${name}`), nowhere: 'nowhere', gone: 'searches/se_gone' };
}

async function everyPage() {
  const hashes = await addresses();
  for (const [size, shape] of Object.entries(sizes)) for (const scheme of ['light', 'dark']) {
    const { page, context, open } = await windowOf(shape, scheme);
    for (const [name, hash] of Object.entries(hashes)) {
      const file = `${size}-${scheme}-${name}.png`;
      if (hash === null || !file.includes(process.env.ONLY ?? '')) continue;
      await open(hash);
      await page.screenshot({ path: join(dir, file), fullPage: size !== '4k', timeout: 120000 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) console.log(`${file}: ${wide} pixels too wide`);
    }
    await context.close();
  }
}

/** Fewer colours, then packed tightly, where the programs are there. */
function pack(file) {
  for (const [program, ...args] of [['pngquant', '--force', '--skip-if-larger', '--quality', '70-95', '--output', file, file], ['optipng', '-quiet', '-o4', file]])
    try { execFileSync(program, args); } catch (error) { console.log(`${program}: ${error.code === 'ENOENT' ? 'not installed' : error.message}`); }
}

async function docsPictures() {
  const { items } = await get(`/searches/${named}/front`);
  const best = items.reduce((a, b) => (a.metrics.top1.value > b.metrics.top1.value ? a : b));
  const { space } = await get(`/searches/${named}`);
  const pictures = [['search', 'light', `searches/${named}`], ['search-dark', 'dark', `searches/${named}?by=depth`], ['network', 'light', `archs/${space}?arch=${encodeURIComponent(best.arch)}&search=${named}`]];
  for (const [name, scheme, hash] of pictures) {
    const { page, context, open } = await windowOf({ width: 1440, height: 1000 }, scheme);
    await open(hash);
    if (name !== 'network') await page.getByText(/\d on the final front/).waitFor(); // then all candidates are there, too, but for a moment
    await page.waitForTimeout(5000);
    const file = join(dir, `${name}.png`);
    await page.screenshot({ path: file });
    pack(file);
    await context.close();
  }
}

try {
  await (docs ? docsPictures() : everyPage());
} finally {
  await browser.close();
}
