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
