# bash completion for gatewayctl                             -*- shell-script -*-
_gatewayctl() {
    local line kind=
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $kind ]]; then kind=$line; else COMPREPLY+=("$line"); fi
    done <<<"$(command gatewayctl __complete bash "${COMP_LINE:0:COMP_POINT}" "${COMP_WORDBREAKS-}" "${COMP_TYPE-}" \
        2>/dev/null </dev/null)"
    if [[ $kind == files ]] && type compopt &>/dev/null; then compopt -o default; fi
    return 0
}
complete -F _gatewayctl gatewayctl
