"""A few kills of benchmarks/faults.py: files are whole or absent, and second runs succeed."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("benchmarks", reason="benchmarks are not in the sdist")

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_killed_programs_leave_whole_files_and_can_be_run_again():
    run = [sys.executable, "-W", "ignore", "-m", "benchmarks.faults", "6", "1"]
    ended = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "every second run succeeded" in ended.stdout
