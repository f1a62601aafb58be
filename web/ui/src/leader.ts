// Which tab of a browser leads. A lock says so where the browser has locks. Over plain HTTP from another machine, which is no secure context, it has none,
// and the tabs agree by messages: who has led longest goes on, who hears of no leader becomes one. For a moment there may be two, never none for long.
type Claim = { since: number; tab: string };
type Message = { claim: Claim } | { ask: true } | { bye: true };

const round = 3000, patience = 1000; // ms: followers ask whether somebody leads; a leader answers within, unless it is gone, frozen or very busy

const earlier = (a: Claim, b: Claim) => a.since < b.since || (a.since === b.since && a.tab < b.tab);

function agree(channel: BroadcastChannel, lead: () => void, follow: () => void) {
  const tab = Math.random().toString(36);
  const say = (message: Message) => channel.postMessage(message);
  let mine: Claim | null = null;
  let doubt = 0;
  const claim = () => {
    clearTimeout(doubt);
    if (mine) return;
    mine = { since: Date.now(), tab };
    say({ claim: mine });
    lead();
  };
  const claimIn = (ms: number) => {
    clearTimeout(doubt);
    doubt = window.setTimeout(claim, ms);
  };
  const yieldTo = () => {
    mine = null;
    follow();
  };
  channel.addEventListener('message', ({ data }: MessageEvent<Message>) => {
    if ('claim' in data) {
      clearTimeout(doubt);
      if (mine && earlier(mine, data.claim)) say({ claim: mine });
      else if (mine) yieldTo();
    } else if (mine) {
      if ('ask' in data) say({ claim: mine });
    } else if ('bye' in data) claimIn(200 * Math.random()); // one of many, most times
  });
  setInterval(() => {
    if (mine) return;
    say({ ask: true });
    claimIn(patience);
  }, round);
  addEventListener('pagehide', () => {
    if (!mine) return;
    yieldTo();
    say({ bye: true });
  });
  addEventListener('pageshow', (event) => { if (event.persisted) claim(); });
  claim(); // at once, so that a first tab misses nothing; one that leads already answers
}

/** Calls lead when this tab comes to lead those of this name; follow when another leads after all, which only happens without locks. */
export function elect(name: string, lead: () => void, follow: () => void) {
  if (navigator.locks) void navigator.locks.request(name, () => { lead(); return new Promise<never>(() => undefined); }); // held until the tab closes
  else agree(new BroadcastChannel(`${name}-leader`), lead, follow);
}
