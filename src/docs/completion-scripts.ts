/** Where the shells look for a completion script by the program's name. */
const files = {
  bash: 'completions/gatewayctl.bash',
  zsh: 'completions/_gatewayctl',
  fish: 'completions/gatewayctl.fish',
} as const;

export type Shell = keyof typeof files;

/**
 * The scripts know nothing of the commands: at TAB they ask the program itself, so they never go stale, and names of
 * keys and teams can be offered. In none of them is anything evaluated that somebody has typed.
 *
 * bash gets by without mapfile (macOS has bash 3.2), without the bash-completion package (servers lack it) and without
 * a global name but the function's, so that it can be sourced twice.
 */
export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: `# bash completion for gatewayctl                             -*- shell-script -*-
_gatewayctl() {
    local line kind=
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $kind ]]; then kind=$line; else COMPREPLY+=("$line"); fi
    done <<<"$(command gatewayctl __complete bash "\${COMP_LINE:0:COMP_POINT}" "\${COMP_WORDBREAKS-}" "\${COMP_TYPE-}" \\
        2>/dev/null </dev/null)"
    if [[ $kind == files ]] && type compopt &>/dev/null; then compopt -o default; fi
    return 0
}
complete -F _gatewayctl gatewayctl
`,

  zsh: `#compdef gatewayctl
_gatewayctl() {
    local -a typed lines items
    local line
    typed=("\${(@Q)words[1,CURRENT-1]}" "\${(Q)PREFIX}")
    lines=("\${(@f)$(command gatewayctl __complete zsh "\${(F)typed}" 2>/dev/null </dev/null)}")
    case $lines[1] in
        files)
            [[ $PREFIX == -*=* ]] && compset -P '*='
            _files
            ;;
        values)
            for line in "\${(@)lines[2,-1]}"; do
                if [[ $line == *$'\\t'* ]]; then
                    items+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
                else
                    items+=("\${line//:/\\\\:}")
                fi
            done
            _describe -V gatewayctl items
            ;;
        *)
            return 1
            ;;
    esac
}
# Called when loaded from $fpath at the first TAB; only made known when sourced.
if [[ $zsh_eval_context == *func ]]; then _gatewayctl "$@"; else compdef _gatewayctl gatewayctl; fi
`,

  fish: `# fish completion for gatewayctl
function __gatewayctl_complete
    set -l typed gatewayctl
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for each in $words[2..-1] "$word"
        set typed $typed\\n$each
    end
    set -l lines (command gatewayctl __complete fish $typed 2>/dev/null </dev/null)
    switch "$lines[1]"
        case files
            set -l flag (string match -r -- '^--[^=]*=' $word); or set flag ''
            string join \\n -- $flag(__fish_complete_path (string replace -- "$flag" '' $word))
        case values
            string join \\n -- $lines[2..-1]
    end
end
complete -c gatewayctl -e
complete -c gatewayctl -f -k -a '(__gatewayctl_complete)'
`,
};

/** The scripts by the path they are committed under. */
export function completionFiles(): readonly (readonly [path: string, text: string])[] {
  return [
    [files.bash, completionScripts.bash],
    [files.zsh, completionScripts.zsh],
    [files.fish, completionScripts.fish],
  ];
}
