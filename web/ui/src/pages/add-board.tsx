// Adding a board: a token is made when somebody asks for one, and the same one is waited for until its board comes or it expires, also over a reload.
import { useEffect, useState } from 'preact/hooks';
import { ApiError, get, post, wordsOf, type Device, type Token } from '../api';
import { listen } from '../live';
import { Card, Code, Failed } from '../parts';
import { href } from '../router';
import { useTick } from '../state';

/** What a board dials, as this page was reached; over loopback the daemon knows better. */
const address = () => (/^(localhost|127\.|\[::1\])/.test(location.host) ? {} : { address: location.origin });

type Awaited = { id: string; name: string; command: string; notices: string[]; expires_at: string };
const stored = 'espalier-add-board';

/** The command that this tab has shown and whose board has not come yet. */
function kept(): Awaited | null {
  try {
    return JSON.parse(sessionStorage.getItem(stored) ?? 'null') as Awaited | null;
  } catch {
    return null;
  }
}

function keep(awaited: Awaited | null) {
  if (awaited) sessionStorage.setItem(stored, JSON.stringify(awaited));
  else sessionStorage.removeItem(stored);
}

/** The board that has registered with a token; gone: the token is no longer there. Asks until then, at each event of a board and every three seconds. */
function useArrival(token: string | undefined, onArrived: () => void) {
  const [state, setState] = useState<{ board: Device | null; gone: boolean }>({ board: null, gone: false });
  useEffect(() => {
    setState({ board: null, gone: false });
    if (!token) return undefined;
    let alive = true; // an answer that comes late is not one about the next token
    const end = () => {
      alive = false;
      clearInterval(timer);
      stop();
    };
    const look = async () => {
      const { device } = await get<Token>(`/tokens/${token}`);
      if (!device || !alive) return;
      const board = await get<Device>(`/devices/${device}`);
      if (!alive) return;
      end();
      keep(null);
      setState({ board, gone: false });
      onArrived();
    };
    const ask = () => void look().catch((error: unknown) => {
      if (!alive || !(error instanceof ApiError && error.status === 404)) return;
      end();
      setState({ board: null, gone: true });
    });
    const stop = listen(['device'], ask);
    const timer = setInterval(ask, 3000);
    ask();
    return end;
  }, [token]);
  return state;
}

function Command({ awaited, over, again }: { awaited: Awaited; over: boolean; again: () => void }) {
  if (over) return <p class="problem" role="alert">The command has expired, and no board has come with it. <button type="button" onClick={again}>Make a new one</button></p>;
  return (
    <>
      <p>Run this on the board. It dials out to the daemon; nothing on the board has to be open.</p>
      <Code>{awaited.command}</Code>
      {awaited.notices.map((notice) => <p class="note" key={notice}>{notice}.</p>)}
      <p class="note" role="status">Waiting for {awaited.name || 'the board'}… The command works once, and until {new Date(awaited.expires_at).toLocaleTimeString()}. <button type="button" class="link" onClick={again}>Make a new one</button></p>
    </>
  );
}

/** One command for the board; green when a board has registered with its token. */
export function AddBoard({ onArrived, onClose }: { onArrived: () => void; onClose: () => void }) {
  useTick(5000); // it expires
  const [awaited, setAwaited] = useState(kept);
  const [name, setName] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const { board, gone } = useArrival(awaited?.id, onArrived);
  const over = awaited !== null && (gone || Date.parse(awaited.expires_at) <= Date.now());
  const make = (called: string) => {
    setBusy(true);
    setError(null);
    post<Token>('/tokens', { kind: 'enrolment', ...(called ? { name: called } : {}), ...address() }).then((token) => {
      const next = { id: token.id, name: called, command: token.command ?? '', notices: token.notices ?? [], expires_at: token.expires_at };
      keep(next);
      setAwaited(next);
    }, (e: unknown) => setError(wordsOf(e))).finally(() => setBusy(false));
  };
  return (
    <Card title="Add a board" class={`add-board ${board ? 'arrived' : ''}`} note={<button type="button" class="quiet" onClick={onClose} aria-label="Close">✕</button>}>
      <Failed error={error} />
      {board ? <p class="arrived-text" role="status"><b>{board.name}</b> has registered. <a href={href(['devices', board.id])}>Measure its latency table</a></p>
        : awaited ? <Command awaited={awaited} over={over} again={() => make(awaited.name)} />
        : (
          <form class="row" onSubmit={(e) => { e.preventDefault(); make(name.trim()); }}>
            <label>Name of the board <input value={name} maxLength={63} placeholder="its host name" onInput={(e) => setName(e.currentTarget.value)} /></label>
            <button type="submit" class="primary" disabled={busy}>Make the command</button>
          </form>
        )}
    </Card>
  );
}
