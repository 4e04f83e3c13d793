#!/bin/bash
# docs/administrators.md and docs/troubleshooting.md, word for word: limits, lost PINs, backup, retiring; looking for faults.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need openssl sqlite3 python3 swtpm
follow docs/administrators.md
grep -q 'archive' "$PAGE_WORLD/inventory.json"
[ -s "$PAGE_WORLD/archive.wrapped" ]
grep -q "^\[\]$" "$PAGE_WORLD/out" || die 'the doctor found a problem'
refused 'a look at the token after its destruction' grep -q clerk "$PAGE_WORLD/tokens.json"
follow docs/troubleshooting.md
[ -s "$PAGE_WORLD/log" ]
