#include "tools/waggle/completion.hpp"

namespace waggle::cli {
namespace {

constexpr std::string_view bash = R"sh(# bash completion for waggle:  source <(waggle completion bash)
_waggle() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} word subcommand= broker= i
  local commands='call emit sub ls describe ping raw version completion'
  local options='--help --broker --budget --output --json --key --header --input --count --wait --hex --bundle'
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      --broker) broker=${COMP_WORDS[i+1]} ;;
      -*) ;;
      *) [[ -z $subcommand && " $commands " == *" $word "* ]] && subcommand=$word ;;
    esac
  done
  COMPREPLY=()
  case $previous in
    -o|--output) COMPREPLY=($(compgen -W 'json table msgpack' -- "$current")); return ;;
    -i|--input) COMPREPLY=($(compgen -W 'json msgpack' -- "$current")); return ;;
    --broker|--budget|--key|--header|--count|--wait|--interval) return ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [[ -z $subcommand ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$current"))
  elif [[ $previous == call || $previous == describe || $previous == ls ]]; then
    COMPREPLY=($(compgen -W "$(WAGGLE_BROKER=${broker:-$WAGGLE_BROKER} waggle __commands 2>/dev/null | cut -f1)" -- "$current"))
  elif [[ $subcommand == completion ]]; then
    COMPREPLY=($(compgen -W 'bash zsh fish' -- "$current"))
  elif [[ $current == @* ]]; then
    COMPREPLY=($(compgen -P @ -f -- "${current#@}"))
  fi
}
complete -F _waggle waggle
)sh";

constexpr std::string_view zsh = R"sh(#compdef waggle
# zsh completion for waggle:  source <(waggle completion zsh)
_waggle_names() {
  local -a names
  local name about
  while IFS=$'\t' read -r name about; do
    names+=("${name//:/\\:}:$about")
  done < <(WAGGLE_BROKER=${opt_args[--broker]:-$WAGGLE_BROKER} waggle __commands 2>/dev/null)
  _describe -t commands 'command' names
}
_waggle_payload() {
  if [[ $PREFIX == @* ]]; then compset -P @ && _files; else _message 'payload: JSON, @file or -'; fi
}
_waggle() {
  local -a subcommands
  subcommands=(
    'call:call a command' 'emit:emit an event' 'sub:print events as they come' 'ls:list services and commands'
    'describe:explain a command' 'ping:measure round trips to the broker' 'raw:send any frames'
    'version:print versions' 'completion:print a completion script'
  )
  _arguments -C \
    '--help[print help]' '--broker[where the broker is]:endpoint:' '--budget[time to answer in]:duration:' \
    '(-o --output)'{-o,--output}'[form of the output]:form:(json table msgpack)' '--json[output JSON]' \
    '(-i --input)'{-i,--input}'[form of payloads]:form:(json msgpack)' '--key[calls of one key run in order]:key:' \
    '*--header[a header, name=value]:header:' '--count[end after so many]:count:' '--wait[end after so long]:duration:' \
    '1:subcommand:->subcommand' '*::argument:->argument'
  case $state in
    subcommand) _describe -t subcommands 'subcommand' subcommands ;;
    argument)
      case $words[1] in
        call) if (( CURRENT == 2 )); then _waggle_names; else _waggle_payload; fi ;;
        describe|ls) (( CURRENT == 2 )) && _waggle_names ;;
        emit) (( CURRENT > 2 )) && _waggle_payload ;;
        completion) _values 'shell' bash zsh fish ;;
      esac ;;
  esac
}
if [[ $funcstack[1] == _waggle ]]; then _waggle "$@"; else compdef _waggle waggle; fi
)sh";

constexpr std::string_view fish = R"sh(# fish completion for waggle:  waggle completion fish | source
set -l subcommands call emit sub ls describe ping raw version completion
complete -c waggle -f
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a call -d 'call a command'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a emit -d 'emit an event'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a sub -d 'print events as they come'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a ls -d 'list services and commands'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a describe -d 'explain a command'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a ping -d 'measure round trips to the broker'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a raw -d 'send any frames'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a version -d 'print versions'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a completion -d 'print a completion script'
complete -c waggle -n '__fish_seen_subcommand_from call describe ls' -a '(waggle __commands 2>/dev/null)'
complete -c waggle -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
complete -c waggle -l broker -x -d 'where the broker is'
complete -c waggle -l budget -x -d 'time to answer in'
complete -c waggle -s o -l output -x -a 'json table msgpack' -d 'form of the output'
complete -c waggle -l json -d 'output JSON'
complete -c waggle -s i -l input -x -a 'json msgpack' -d 'form of payloads'
complete -c waggle -l key -x -d 'calls of one key run in order'
complete -c waggle -l header -x -d 'a header, name=value'
complete -c waggle -l count -x -d 'end after so many'
complete -c waggle -l wait -x -d 'end after so long'
complete -c waggle -l help -d 'print help'
)sh";

}  // namespace

std::string_view completion_script(std::string_view shell) {
  return shell == "bash" ? bash : shell == "zsh" ? zsh : shell == "fish" ? fish : std::string_view{};
}

}  // namespace waggle::cli
