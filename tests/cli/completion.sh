#!/bin/bash
# Completion in bash: what the command offers, through the function that the shell calls.
. "$(dirname "$0")/lib.sh"
. "$ROOT/completion/latchkey.bash"

offers() { # 'EXPECTED WORDS' WORDS...: the last WORD is the one being typed
    local want=$1
    shift
    COMP_WORDS=("$COMMAND" "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _latchkey
    same "${COMPREPLY[*]}" "$want"
}

complete -p latchkey >out
prints '-F _latchkey latchkey'
offers 'token key cert object uri example module setup encrypt decrypt sign verify secret ssh-agent migrate tpm doctor help version' ''
offers 'token tpm' t
offers '--socket' ssh-agent --so
offers 'create list show destroy pin reset-pin' token ''
offers 'pin' token pi
offers 'status harden unlock remove-index simulate' tpm ''
offers 'start stop status' tpm simulate ''
offers 'start stop status' --token x tpm simulate ''
offers 'token tpm' help t
offers 'generate' help key gen
offers 'P-256 P-384 P-521 P-224' key generate --curve ''
offers 'nss' setup --dry-run ns
offers 'nginx' example ng
offers '' example nginx ''
offers 'P-384' key generate --curve P-3
offers 'ec ed25519 ed448' key generate --type e
offers 'aes' key import --type ae
offers 'generate import export list show delete csr wrap unwrap' key ''
offers 'put get list delete' secret ''
offers '--signature' verify k --si
offers 'ecdsa-sha256 ecdsa-sha384 ecdsa-sha512' sign --mechanism ecdsa
offers '' key generate --pin-file ''
offers '--usage' key generate --label x --us
offers '--pin-file --pin-fd --pin-env --pin-file-out' token create --pin
offers '' token list --pin
offers '' nonsense ''
finish
