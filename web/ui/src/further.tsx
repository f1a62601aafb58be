// What a search that is there is good for further: more evaluations of it, and all that is known of it as one page.
import { useState } from 'preact/hooks';
import { api, post, wordsOf, type Search } from './api';
import { commandAbout, quoted } from './draft';
import { Card, Code, say } from './parts';

type Props = { search: Search; close: () => void };

const Close = ({ close, what }: { close: () => void; what: string }) => <button type="button" class="quiet" aria-label={`Close ${what}`} onClick={close}>✕</button>;

/** Asks how many evaluations more; the daemon takes how many in all. */
export function Extend({ search, close }: Props) {
  const [more, setMore] = useState(search.evaluations_done);
  const [patience, setPatience] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const all = search.evaluations_done + more;
  const submit = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    post(api`/searches/${search.id}/extend`, { evaluations: all, ...(patience === '' ? {} : { patience: Number(patience) || null }) })
      .then(() => { say('The search goes on.'); close(); })
      .catch((error: unknown) => { setProblem(wordsOf(error)); setBusy(false); });
  };
  return (
    <Card title="Extend the search" note={<Close close={close} what="the form" />}>
      <form class="further" onSubmit={submit}>
        <p class="note">It has had {search.evaluations_done} evaluations and becomes what it would have been with {all} from the beginning: checkpoint, latency tables and calibrations are those that it began with.</p>
        <div class="row">
          <label>Evaluations more <input type="number" min="1" max="10000000" required value={more} onInput={(e) => setMore(Math.max(0, Math.round(Number(e.currentTarget.value))))} /></label>
          <label>Patience <input type="number" min="0" max="10000000" placeholder="as before" value={patience} onInput={(e) => setPatience(e.currentTarget.value)} /></label>
          <button type="submit" class="primary" disabled={busy || more < 1}>Extend to {all}</button>
        </div>
        <p class="note">Patience: how many evaluations without a better front end it from now on; 0: none does. It is needed where its patience has ended the search.</p>
        {problem && <p class="problem" role="alert">{problem}</p>}
        <Code>{commandAbout('espalier search extend', search.name, `-n ${all}${patience === '' ? '' : ` --patience ${Number(patience)}`}`)}</Code>
      </form>
    </Card>
  );
}

/** The command line makes the report: one file with everything in it. */
export const Report = ({ search, close }: Props) => (
  <Card title="Report" note={<Close close={close} what="the report's command" />}>
    <p class="note">All that is known of this search as one page without any other file, to keep, send or print: its front, its curves, how far its predictions were right, its boards, and the request that repeats it. Where the command line client is:</p>
    <Code>{commandAbout('espalier report', search.name, `-o ${quoted(`${search.name.replace(/[^\w.-]+/g, '-').replace(/^-+/, '')}.html`)}`)}</Code>
  </Card>
);
