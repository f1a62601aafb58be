// An arch's text (docs/SPACES.md) as named genes.

/** "r28 | d1 c16 k5e4": resolution 28; stage 1 depth 1, channels 16; block 1.1 5×5 expand 4. */
export function namedGenes(arch: string): Map<string, string> {
  const genes = new Map<string, string>();
  const [head = '', ...stages] = arch.split('|').map((s) => s.trim());
  genes.set('resolution', head.slice(1));
  stages.forEach((stage, i) => {
    let block = 0;
    for (const word of stage.split(/\s+/)) {
      if (word[0] === 'd') genes.set(`stage ${i + 1} depth`, word.slice(1));
      else if (word[0] === 'c') genes.set(`stage ${i + 1} channels`, word.slice(1));
      else if (word) genes.set(`block ${i + 1}.${++block}`, word);
    }
  });
  return genes;
}
