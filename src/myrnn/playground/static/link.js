// Settings and the sequence in the address, so that a link reproduces the page.
import {LONGEST} from "./known.js";

// Return the settings in the address, with defaults for the rest.
export function settingsFromLink(defaults) {
  const given = new URLSearchParams(location.hash.slice(1)), settings = {...defaults};
  for (const name of Object.keys(defaults)) {
    if (!given.has(name)) continue;
    const text = given.get(name);
    const kind = typeof defaults[name];
    settings[name] = text === "off" ? null : kind === "string" ? text : kind === "boolean" ? text === "true" : Number(text);
  }
  return settings;
}

export function tokensFromLink() {
  const text = new URLSearchParams(location.hash.slice(1)).get("sequence") || "";
  return /^[0-9a-z]+$/.test(text) && text.length <= LONGEST ? [...text].map(sign => parseInt(sign, 36)) : null;
}

export function writeLink(settings, tokens, defaults) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) {
    if (value !== defaults[name]) parts.set(name, value === null ? "off" : value);
  }
  parts.set("sequence", tokens.map(token => token.toString(36)).join(""));
  history.replaceState(null, "", `#${parts}`);
}
