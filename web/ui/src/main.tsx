import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import './style.css';
import { locked, remove, session } from './api';
import { endOf } from './jobs';
import { begin, connection, listen, sessionChanged } from './live';
import { Empty, Page, say, Select, Toasts } from './parts';
import { href, route } from './router';
import { useSignal } from './signal';
import { setTheme, theme, type Theme } from './theme';
import { About } from './pages/about';
import { Overview } from './pages/overview';
import { Compare } from './pages/compare';
import { Searches } from './pages/searches';
import { SearchPage } from './pages/search';
import { NewSearch } from './pages/new-search';
import { Supernets } from './pages/supernets';
import { SupernetPage } from './pages/supernet';
import { Devices } from './pages/devices';
import { DevicePage } from './pages/device';
import { Jobs } from './pages/jobs';
import { JobPage } from './pages/job';
import { Data } from './pages/data';
import { ArchPage } from './pages/arch';
import { ModelPage, Models } from './pages/models';
import { SignIn } from './pages/sign-in';

const sections: [string, string][] = [['', 'Overview'], ['searches', 'Searches'], ['supernets', 'Supernets'], ['devices', 'Devices'], ['jobs', 'Jobs'], ['models', 'Models'], ['data', 'Data'], ['about', 'About']];

function Current() {
  const [section = '', id] = route.value.parts;
  if (section === 'searches') return id === 'new' ? <NewSearch /> : id === 'compare' ? <Compare /> : id ? <SearchPage id={id} key={id} /> : <Searches />;
  if (section === 'supernets') return id ? <SupernetPage id={id} key={id} /> : <Supernets />;
  if (section === 'devices') return id ? <DevicePage id={id} key={id} /> : <Devices />;
  if (section === 'jobs') return id ? <JobPage id={id} key={id} /> : <Jobs />;
  if (section === 'models') return id ? <ModelPage id={id} key={id} /> : <Models />;
  if (section === 'data') return <Data />;
  if (section === 'about') return <About />;
  if (section === 'archs' && id) return <ArchPage space={id} key={id} />;
  return section ? <Nowhere /> : <Overview />;
}

/** An address that names nothing here, as of a link that was cut. */
const Nowhere = () => (
  <Page title="No such page">
    <Empty>There is nothing at <code>#/{route.value.parts.join('/')}</code>. <a href={href([])}>Go to the overview</a>.</Empty>
  </Page>
);

/** A person who is at another page is told that a job has ended. */
function useEnds() {
  useEffect(() => listen(['job'], (topic, job) => {
    const words = endOf(topic, job);
    if (words && !document.hidden) say(words.text, words.bad);
  }), []);
}

/** "/" goes to the search field of the page, as in many others. */
function useSlash() {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const at = document.activeElement;
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || (at instanceof HTMLElement && at.matches('input, select, textarea'))) return;
      const field = document.querySelector<HTMLInputElement>('main input[type=search]');
      if (!field) return;
      event.preventDefault();
      field.focus();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

/** Who this browser is signed in as; nothing on the daemon's own machine. */
function Who() {
  const who = useSignal(session);
  document.documentElement.dataset['scope'] = who?.scope ?? '';
  if (who?.by !== 'session') return null;
  const leave = () => void remove('/session').then(sessionChanged);
  return (
    <div class="who">
      <span title={who.expires_at ? `until ${new Date(who.expires_at).toLocaleString()}` : undefined}>{who.label || 'Signed in'} ({who.scope})</span>
      <button type="button" class="quiet" onClick={leave}>Sign out</button>
    </div>
  );
}

const words = { live: 'Live', connecting: 'Connecting…', reconnecting: 'Connection lost, trying again…' };

/** Drawn anew with the address: what is within reads it as it is then. */
function Shell() {
  const [section = ''] = useSignal(route).parts;
  return useSignal(locked) ? <SignIn /> : <Pages section={section} />;
}

function Pages({ section }: { section: string }) {
  const stream = useSignal(connection), shade = useSignal(theme);
  useEnds();
  useSlash();
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to the content</a>
      <nav class="side" aria-label="Main">
        <a class="brand" href={href([])}><img src="/favicon.svg" alt="" width="26" height="26" />Espalier</a>
        <ul>
          {sections.map(([key, name]) => <li key={key}><a href={href(key ? [key] : [])} aria-current={section === key ? 'page' : undefined}>{name}</a></li>)}
        </ul>
        <div class="side-foot">
          <Who />
          <span class={`live ${stream}`} role="status">{words[stream]}</span>
          <label>Theme{' '}
            <Select value={shade} set={(to) => setTheme(to as Theme)} of={['system', 'light', 'dark'].map((name) => [name, name])} />
          </label>
        </div>
      </nav>
      <Current />
      <Toasts />
    </>
  );
}

// Nothing is asked for before the daemon has said who we are: what must sign in first would meet one refusal after another.
void begin().then(() => render(<Shell />, document.getElementById('app')!));
