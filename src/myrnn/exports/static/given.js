// What is typed: symbols, or numbers in rows.

// The most steps of what is typed that are read; a network may read less.
export const MOST_TYPED = 2000;

const SIGNS = {" ": "␣", "\n": "↵", "\r": "␍", "\t": "⇥"};

const signs = text => Array.from(text, one => SIGNS[one] || `\\u{${one.codePointAt(0).toString(16)}}`).join("");

// A symbol as it is shown: there are signs for what nobody sees, except for spaces between other characters.
export const visible = name => (name || '""').replace(/^[\p{C}\s]+$|[^\S ]|\p{Cc}/gu, signs);

// How symbols are typed, each in its own way: a space between words would separate the parts of one, too, and a field
// has no carriage return.
export function typedForms({symbols, separator}) {
  const isPlain = name => separator === "" ? name !== "\r" : /^\S+$/.test(name), taken = new Set(symbols.filter(isPlain));
  return symbols.map(name => {
    if (isPlain(name)) return name;
    let form = visible(name).replace(/\s/g, signs);
    while (taken.has(form)) form += "'";
    taken.add(form);
    return form;
  });
}

// The tokens of a text, and what is wrong with it. Characters stand alone, words have spaces between them.
export function tokensOf(data, text) {
  const {typed, separator, unknownToken, startToken, mostTyped} = data, parts = separator === "" ? [...text] : text.split(/\s+/).filter(Boolean);
  const strange = new Set(), tokens = [];
  for (const part of parts) {
    const place = typed.indexOf(part), same = place >= 0 ? place : typed.indexOf(part.normalize("NFKC"));
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

// The text that is typed for tokens.
export const typedText = (data, tokens) => tokens.map(token => data.typed[token]).join(data.separator);

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
