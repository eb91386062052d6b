"""Run an exported JavaScript module in Node."""

import json
import subprocess

import numpy as np

SCRIPT = """
import fs from "node:fs";
import * as net from "./net.mjs";
const numbers = (row) => Array.from(row, (x) => (Number.isNaN(x) ? "nan" : x));
const plain = (found) => (Array.isArray(found) ? found.map(numbers) : numbers(found));
const { calls } = JSON.parse(fs.readFileSync("calls.json"));
const answers = [];
for (const xs of calls) {
    try {
        answers.push({ found: plain(net.run(xs)) });
    } catch (error) {
        answers.push({ error: `${error.name}: ${error.message}` });
    }
}
console.log(JSON.stringify({ info: net.info, answers }));
"""


def run_module(source, sequences, folder):
    """Return what the module says of itself, and its outputs for each sequence, or the errors that it throws."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.mjs").write_text(source, encoding="utf-8")
    (folder / "run.mjs").write_text(SCRIPT, encoding="utf-8")
    calls = [xs.tolist() if isinstance(xs, np.ndarray) else xs for xs in sequences]
    (folder / "calls.json").write_text(json.dumps({"calls": calls}))
    done = subprocess.run(["node", "run.mjs"], check=True, cwd=folder, capture_output=True, text=True)
    told = json.loads(done.stdout)
    answers = [
        answer["error"] if "error" in answer else np.atleast_2d(np.array(answer["found"], dtype=np.float32))
        for answer in told["answers"]
    ]
    return told["info"], answers
