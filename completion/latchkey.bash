# bash completion of latchkey: the command itself says what may follow
_latchkey()
{
    local typed=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" complete "${words[@]}")" -- "$typed")
}
complete -o default -F _latchkey latchkey
