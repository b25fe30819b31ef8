# fish completion for gatewayctl
function __gatewayctl_complete
    set -l typed gatewayctl
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for each in $words[2..-1] "$word"
        set typed $typed\n$each
    end
    set -l lines (command gatewayctl __complete fish $typed 2>/dev/null </dev/null)
    switch "$lines[1]"
        case files
            set -l flag (string match -r -- '^--[^=]*=' $word); or set flag ''
            string join \n -- $flag(__fish_complete_path (string replace -- "$flag" '' $word))
        case values
            string join \n -- $lines[2..-1]
    end
end
complete -c gatewayctl -e
complete -c gatewayctl -f -k -a '(__gatewayctl_complete)'
