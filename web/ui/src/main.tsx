import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { connection, start } from './live';
import { Toasts } from './parts';
import { href, route } from './router';
import { setTheme, theme, type Theme } from './theme';
import { Overview } from './pages/overview';
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

const sections: [string, string][] = [['', 'Overview'], ['searches', 'Searches'], ['supernets', 'Supernets'], ['devices', 'Devices'], ['jobs', 'Jobs'], ['data', 'Data & spaces']];

function Current() {
  const [section = '', id, sub] = route.value.parts;
  if (section === 'searches') return id === 'new' ? <NewSearch /> : id ? <SearchPage id={id} key={id} /> : <Searches />;
  if (section === 'supernets') return id ? <SupernetPage id={id} key={id} /> : <Supernets />;
  if (section === 'devices') return id ? <DevicePage id={id} key={id} /> : <Devices adding={sub === 'add'} />;
  if (section === 'jobs') return id ? <JobPage id={id} key={id} /> : <Jobs />;
  if (section === 'data') return <Data />;
  return <Overview />;
}

const words = { live: 'Live', connecting: 'Connecting…', reconnecting: 'Connection lost, trying again…' };

function Shell() {
  const section = route.value.parts[0] ?? '';
  useEffect(() => { document.title = `${sections.find(([key]) => key === section)?.[1] ?? 'Espalier'} · Espalier`; }, [section]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to the content</a>
      <nav class="side" aria-label="Main">
        <a class="brand" href={href([])}><img src="/favicon.svg" alt="" width="26" height="26" />Espalier</a>
        <ul>
          {sections.map(([key, name]) => <li key={key}><a href={href(key ? [key] : [])} aria-current={section === key ? 'page' : undefined}>{name}</a></li>)}
        </ul>
        <div class="side-foot">
          <span class={`live ${connection.value}`} role="status">{words[connection.value]}</span>
          <label>Theme{' '}
            <select value={theme.value} onChange={(e) => setTheme(e.currentTarget.value as Theme)}>
              <option value="system">system</option><option value="light">light</option><option value="dark">dark</option>
            </select>
          </label>
        </div>
      </nav>
      <Current />
      <Toasts />
    </>
  );
}

start();
render(<Shell />, document.getElementById('app')!);
