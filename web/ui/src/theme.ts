// Light, dark or as the system says; kept in this browser. Charts read the colours again when it changes.
import { signal } from './signal';

export type Theme = 'system' | 'light' | 'dark';
const stored = localStorage.getItem('espalier-theme');
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system');
export const paint = signal(0); // counts changes of colours

function apply() {
  const root = document.documentElement;
  if (theme.value === 'system') delete root.dataset['theme'];
  else root.dataset['theme'] = theme.value;
  paint.value++;
}

export function setTheme(next: Theme) {
  theme.value = next;
  if (next === 'system') localStorage.removeItem('espalier-theme');
  else localStorage.setItem('espalier-theme', next);
  apply();
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { paint.value++; });
apply();

export const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
/** Whether the cards are light or dark now. */
export const cardTone = (): 'light' | 'dark' => (parseInt(color('card').slice(1, 3), 16) < 128 ? 'dark' : 'light');
