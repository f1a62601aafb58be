import { useEffect, useRef, useState } from 'preact/hooks';
import { post, wordsOf, type Session } from '../api';
import { sessionChanged } from '../live';
import { Code, Failed } from '../parts';

/** Exchanges a token for this browser's session. The page begins anew then: nothing of before stays. */
export function SignIn() {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => { field.current?.focus(); }, []);
  const submit = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    post<Session>('/session', { token: field.current?.value.trim() ?? '' }).then(
      sessionChanged,
      (e: unknown) => {
        setBusy(false);
        setError(wordsOf(e));
        field.current?.focus();
      },
    );
  };
  return (
    <main id="main" class="sign-in" tabIndex={-1}>
      <form class="card" onSubmit={submit}>
        <h1>Sign in</h1>
        <p>Beyond its own machine this daemon answers only to those who have a token.</p>
        <Failed error={error} />
        <label>Token
          <input ref={field} type="password" name="token" autocomplete="current-password" spellcheck={false} required aria-invalid={error ? true : undefined} />
        </label>
        <button type="submit" class="primary" disabled={busy}>Sign in</button>
        <p class="note">On the daemon's machine this makes one (scopes: read, submit, admin). If that is refused, <code>--url unix:PATH</code> goes by the socket in the daemon's data folder:</p>
        <Code>espalier token add --scope admin --label dashboard</Code>
      </form>
    </main>
  );
}
