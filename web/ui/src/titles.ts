// Titles of metrics where there is little room.

/** A title in two lines of as many words as there is room for; of a latency the board says more than the word. */
export function fitted(widthOf: (text: string) => number, title: string, room: number): string[] {
  const cut = (text: string) => {
    let n = text.length;
    while (n > 1 && widthOf(`${text.slice(0, n)}…`) > room) n--;
    return widthOf(text) <= room ? text : `${text.slice(0, n)}…`;
  };
  const lines = [''];
  for (const word of title.split(' ')) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim();
    if (lines[0] === '' || widthOf(longer) <= room || lines.length === 2) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  const board = title.split(' on ')[1];
  return (board && lines.some((line) => widthOf(line) > room) ? [title.split(' on ')[0]!, board] : lines).map(cut);
}

/** Names of boards as short as tells them apart: "pi4/fp32-t1" and "pi5/fp32-t1" are pi4 and pi5, two profiles of one board their own names. */
export function shortBoards(names: string[]): string[] {
  const parts = (at: 0 | 1) => names.map((name) => { const cut = name.indexOf('/'); return cut < 0 ? name : at ? name.slice(cut + 1) : name.slice(0, cut); });
  return [parts(0), parts(1), names].find((short) => new Set(short).size === names.length) ?? names;
}
