// Settings and the sequence in the address: whoever follows the link sees the same.

const NUMBERS = new Set(["pattern_length_min", "pattern_length_max", "alphabet_size", "dim_recurrent", "batch_size",
  "learning_rate", "gradient_clip", "seed"]);

// Return what the address says of settings, the defaults for the rest.
export function settingsFromLink(defaults) {
  const given = new URLSearchParams(location.hash.slice(1)), settings = {...defaults};
  for (const name of Object.keys(defaults)) {
    if (!given.has(name)) continue;
    const text = given.get(name);
    settings[name] = text === "off" ? null : NUMBERS.has(name) ? Number(text) : text;
  }
  return settings;
}

export function tokensFromLink() {
  const text = new URLSearchParams(location.hash.slice(1)).get("sequence") || "";
  return /^[0-9]{1,80}$/.test(text) ? [...text].map(Number) : null;
}

export function writeLink(settings, tokens, defaults) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) {
    if (value !== defaults[name]) parts.set(name, value === null ? "off" : value);
  }
  parts.set("sequence", tokens.join(""));
  history.replaceState(null, "", `#${parts}`);
}
