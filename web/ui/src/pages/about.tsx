// Which Espalier this is, what it allows and keeps, and whose work is in it.
import { ApiError, type System, type Version } from '../api';
import { ago, short } from '../format';
import { Card, Facts, Failed, Page, Table, Waiting } from '../parts';
import { useGet, useLoaded } from '../state';

/** The bundle that runs here: a page that was opened before an upgrade has an older one than the daemon. */
const bundle = () => /app\.(\w+)\.js/.exec(document.querySelector<HTMLScriptElement>('script[src]')?.src ?? '')?.[1] ?? '–';

async function readLicences(): Promise<string> {
  const text = await fetch('/licences.txt').then((answer) => (answer.ok ? answer.text() : '')).catch(() => '');
  if (!text) throw new ApiError(0, 'The licences cannot be read');
  return text;
}

export function About() {
  const version = useGet<Version>('/version');
  const system = useGet<System>('/system');
  const licences = useLoaded(readLicences, 'licences');
  const [v, s] = [version.data, system.data];
  return (
    <Page title="About" lead="Espalier: neural architecture search with hardware in the loop.">
      <Failed error={version.error ?? system.error ?? licences.error} />
      {!(v && s) && <Waiting />}
      <div class="grid">
        {v && <Card title="Versions"><Facts rows={[['Espalier', v.version], ['API', <a href="/api/v1/openapi.json">{v.api}, as OpenAPI</a>], ['Runtime', <code>{v.runtime_revision}</code>], ['Dashboard', <code>{bundle()}</code>], ['SQLite', v.sqlite]]} /></Card>}
        {s && (
          <Card title="Limits">
            <Facts rows={[
              ['Memory of a job', `${short(s.job_memory_bytes, 'B')} of ${short(s.memory_bytes, 'B')}`], ['A file that it writes', short(s.job_file_bytes, 'B')], ['Disk that stays free', s.disk_floor_bytes > 0 ? short(s.disk_floor_bytes, 'B') : 'no floor'],
              ['Cores', s.cores], ['Up since', ago(s.started_at)],
            ]} />
          </Card>
        )}
        {s && (
          <Card title="What is kept, and how long" class="wide">
            <Table label="What is kept" rows={s.retention} rowKey={(r) => r.kind} columns={[{ title: 'Kind', cell: (r) => r.kind }, { title: 'Now', number: true, cell: (r) => short(r.rows) }, { title: 'Rule', cell: (r) => r.rule }]} />
          </Card>
        )}
        <Card title="Licences" class="wide">
          <p class="note">Espalier is under the Apache License 2.0. What of others is in this dashboard:</p>
          {licences.data && <pre class="log" tabIndex={0}>{licences.data}</pre>}
        </Card>
      </div>
    </Page>
  );
}
