// What is typed: symbols, or numbers in rows.

// The most steps of what is typed that are read; a network may read less.
export const MOST_TYPED = 2000;

// The tokens of a text, and what is wrong with it. Characters stand alone, words have spaces between them.
export function tokensOf(data, text) {
  const {symbols, separator, unknownToken, startToken, mostTyped} = data, parts = separator === "" ? [...text] : text.split(/\s+/).filter(Boolean);
  const strange = new Set(), tokens = [];
  for (const part of parts) {
    const place = symbols.indexOf(part), same = place >= 0 ? place : symbols.indexOf(part.normalize("NFKC"));
    if (same >= 0 && same !== unknownToken) tokens.push(same);
    else if (/^\s$/.test(part) && unknownToken === null) continue;
    else {
      strange.add(part);
      if (unknownToken !== null) tokens.push(unknownToken);
    }
  }
  const problems = [];
  if (strange.size) problems.push(`${[...strange].slice(0, 5).join(" ")} ${strange.size === 1 ? "is" : "are"} not among its symbols${unknownToken === null ? " and left out" : ": read as unknown"}.`);
  const all = startToken === null || tokens[0] === startToken ? tokens : tokens.length ? [startToken, ...tokens] : [];
  if (all.length > mostTyped) problems.push(`Only the first ${mostTyped} steps are read.`);
  return {inputs: all.slice(0, mostTyped), problem: problems.join(" ")};
}

export const written = (data, tokens) => tokens.map(token => data.symbols[token]).join(data.separator);

// The rows of numbers of a text, and what is wrong with it: a row stands on a line, or, of one column, is any number.
export function rowsOf({mostTyped, inputs}, text) {
  const columns = inputs.mean.length;
  const lines = columns === 1 ? text.split(/[\s,;]+/) : text.split("\n"), rows = [];
  let problem = "";
  lines.forEach((line, i) => {
    if (!line.trim()) return;
    const row = line.trim().split(/[\s,;]+/).filter(Boolean).map(Number);
    if (!row.every(Number.isFinite)) problem ||= columns === 1 ? `“${line}” is not a number.` : `Line ${i + 1} is not numbers.`;
    else if (row.length !== columns) problem ||= `Line ${i + 1} has ${row.length} number${row.length === 1 ? "" : "s"}, but a step has ${columns}.`;
    else rows.push(row);
  });
  if (rows.length > mostTyped) problem ||= `Only the first ${mostTyped} steps are read.`;
  return {rows: rows.slice(0, mostTyped), problem};
}

// The rows as the network reads them.
export const standardized = ({mean, scale}, rows) => rows.map(row => row.map((value, i) => (value - mean[i]) / scale[i]));
