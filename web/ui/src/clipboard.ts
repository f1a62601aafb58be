// Copying a text, also over plain HTTP from another machine, which is no secure context and has no navigator.clipboard.

/** Whether the text was copied. If not, it is selected where it is shown, to be copied by hand. */
export async function copied(text: string, shown: Element): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Not allowed: by the older way.
  }
  const area = document.createElement('textarea'), focused = document.activeElement;
  area.className = 'sr-only';
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  if (!done) getSelection()?.selectAllChildren(shown);
  return done;
}
