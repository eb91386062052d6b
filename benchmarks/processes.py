"""The other end of `benchmarks.worker`: a unit in a separate process, with separate threads and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.measure import UnitFailed
from benchmarks.units import Unit

ROOT = Path(__file__).resolve().parent.parent


class WorkerProcess:
    """Runs one unit; see `benchmarks.measure.Runner`."""

    def __init__(self, unit: Unit) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            cwd=ROOT,
            env=environment(unit.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._first: dict[str, Any] | None = {"unit": unit.to_dict()}

    def prepare(self, budget: float) -> tuple[float, int]:
        answer = self._call("prepare", budget)
        return answer["setup"], answer["iterations"]

    def losses(self, iterations: int) -> list[float]:
        losses: list[float] = self._call("losses", iterations)["losses"]
        return losses

    def run(self, iterations: int) -> tuple[float, float]:
        answer = self._call("run", iterations)
        return answer["seconds"], answer["cores"]

    def close(self) -> None:
        """Let the process end by itself, and kill it if it does not."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        finally:
            self._process.stdout.close()

    def _call(self, name: str, *arguments: Any) -> dict[str, Any]:
        if self._first is not None:
            first, self._first = self._first, None
            self._ask(first)
        return self._ask({"call": name, "arguments": arguments})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise UnitFailed(f"its process ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "problem" in answer:
            raise UnitFailed(answer["problem"])
        return answer
