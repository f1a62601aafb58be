// The log of a job as its page holds it: its end, or all of it to be searched, of which the newest part is shown. The daemon bounds it at 8 MiB.

export type Piece = { text: string; offset: number; next_offset: number };

/** The newest part of a text, from the beginning of a line on, if it is longer than so many characters. */
export function newest(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const from = text.indexOf('\n', text.length - characters) + 1;
  return text.slice(from || text.length - characters);
}

export class LogText {
  text = '';
  /** Where to read on from, in bytes. */
  next = 0;
  /** Where the text begins in the log, in bytes. */
  begin = 0;

  /** Takes what was read from `next` on; whether anything has changed. A log that was shortened meanwhile comes from its beginning. */
  take(piece: Piece): boolean {
    const shortened = piece.offset < this.next, changed = shortened || piece.text !== '';
    if (shortened || this.text === '') this.begin = piece.offset;
    this.text = (shortened ? '' : this.text) + piece.text;
    this.next = piece.next_offset;
    return changed;
  }

  /** The lines with these words in them, in any case. */
  find(words: string): string[] {
    const sought = words.toLowerCase();
    return this.text.split('\n').filter((line) => line.toLowerCase().includes(sought));
  }
}
