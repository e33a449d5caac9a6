#!/usr/bin/env python3
"""Keeps the sums in PROVENANCE.toml true.

    python3 routing-tables/provenance.py --write   # refreshes every sha256
    python3 routing-tables/provenance.py --check   # says what differs, exit code 1
    python3 routing-tables/provenance.py --add uae/types.csv "written for this project" 2026-11-22   # a row for a new file

PROVENANCE.toml has one [[row]] for each file (`file` is the path below routing-tables/) and for each source without a file of its
own. A file without a row, and a row without its file, are errors: somebody has to write where it comes from.
"""

import hashlib
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE / "PROVENANCE.toml"
SKIPPED = {"PROVENANCE.toml"}


def sums():
    files = sorted(p for p in HERE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {str(p.relative_to(HERE)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def add(file, source, date):
    """A row for a file of ours; a file from elsewhere needs its licence and transform written by hand."""
    row = {
        "id": file.rsplit(".", 1)[0].replace("/", "-"), "file": file, "source": source,
        "licence": "that of this repository", "date": date, "sha256": "", "transform": "", "note": "",
    }  # fmt: skip
    with LIST.open("a", encoding="utf-8") as out:
        out.write("\n[[row]]\n" + "".join(f'{key} = "{value}"\n' for key, value in row.items()))


def main():
    if sys.argv[1:2] == ["--add"] and len(sys.argv) == 5:
        add(*sys.argv[2:])
        sys.argv[1:] = ["--write"]
    if sys.argv[1:] not in (["--write"], ["--check"]):
        raise SystemExit(__doc__)
    found = {file: sha for file, sha in sums().items() if file not in SKIPPED}
    text = LIST.read_text(encoding="utf-8")
    listed = dict(re.findall(r'^file = "([^"]+)"\n(?:(?!\[\[).*\n)*?sha256 = "([^"]*)"$', text, re.M))
    wrong = [f"{file}: no row says where it comes from" for file in found if file not in listed]
    wrong += [f"{file}: listed and not there" for file in listed if file not in found]
    stale = [file for file in listed if file in found and listed[file] != found[file]]
    if sys.argv[1] == "--write":
        for file in stale:
            at = text.index(f'file = "{file}"\n')
            start = text.index('sha256 = "', at)
            end = text.index("\n", start)
            text = text[:start] + f'sha256 = "{found[file]}"' + text[end:]
        LIST.write_text(text, encoding="utf-8")
        print(f"{len(stale)} sums written")
    else:
        wrong += [f"{file}: changed since its sum was written" for file in stale]
    print("\n".join(wrong) or f"{len(listed)} files are listed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
