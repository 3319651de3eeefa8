#include "tools/waggle/completion.hpp"

namespace waggle::cli {
namespace {

constexpr std::string_view bash = R"sh(# bash completion for waggle:  source <(waggle completion bash)

# Offers those of the words that begin as `current` does. Readline puts back what stands before its own word break.
_waggle_offer() {
  local word
  for word; do
    [[ $word == "$current"* ]] && COMPREPLY+=("${word#"$kept"}")
  done
}
# What `waggle $1` lists. Names come from peers: one that the shell would not take as it stands, as in `$(rm)`, is not offered.
_waggle_offer_names() {
  local name about quoted
  while IFS=$'\t' read -r name about; do
    printf -v quoted %q "$name"
    [[ $quoted == "$name" ]] && _waggle_offer "$name"
  done < <(WAGGLE_BROKER=$broker "$program" "$1" 2>/dev/null </dev/null)
}
_waggle_offer_files() {
  local file word
  [[ $current == @* ]] || return
  while IFS= read -r file; do
    word=@$file
    [[ $word == "$current"* ]] || continue
    word=${word#"$kept"}
    if [[ -z $quote ]]; then
      printf -v word %q "$word"
    elif [[ $word == *[\"\'\\\$\`!]* ]]; then
      continue  # would end the quotes, or be run in them
    fi
    if [[ -d $file ]]; then
      compopt -o nospace 2>/dev/null
      word+=/
    fi
    COMPREPLY+=("$word")
  done < <(compgen -f -- "${current#@}")
}
_waggle() {
  local -a words=() given=()
  local rest=${COMP_LINE:0:COMP_POINT} before word i current previous= option=
  local program broker=${WAGGLE_BROKER-} kept= quote=
  COMPREPLY=()
  # Bash takes words apart at each of COMP_WORDBREAKS, so at : @ and = too. Those with no space between are one.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    before=$rest
    rest=${rest#"${rest%%[![:space:]]*}"}
    word=${COMP_WORDS[i]}
    ((i == COMP_CWORD)) && word=$rest
    if ((i == 0)) || [[ $rest != "$before" ]]; then words+=("$word"); else words[${#words[@]}-1]+=$word; fi
    rest=${rest#"$word"}
  done
  program=${words[0]//[\"\'\\]/}  # as it is typed: it need not be in PATH
  program=${program/#\~\//$HOME/}
  current=${words[${#words[@]}-1]}
  case $current in
    [\"\']*) quote=${current:0:1} current=${current:1} ;;
    *)
      word=${current//\\?/x}  # what is escaped breaks nothing
      kept=${word%"${word##*["${COMP_WORDBREAKS-}"]}"}
      kept=${kept%@}  # which Readline takes for a part of the word behind it
      current=${current//\\/} kept=${current:0:${#kept}}
      ;;
  esac

  # What stands before: `option` is the one whose value is next, `given` all that is neither an option nor its value.
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    word=${words[i]//[\"\'\\]/}
    if [[ -n $option ]]; then
      [[ $option == --broker ]] && broker=$word
      option=
      continue
    fi
    case $word in
      --broker=*) broker=${word#*=} ;;
      --broker|--key-file|--broker-key|--budget|-o|--output|-i|--input|--key|--header|--count|--wait|--interval|--limit|--routes|--claims|--file|--scope|--expires|-H|-d) option=$word ;;
      --since|--last|--from|--stream|--event-id|--idempotency-key|--run-budget|--group|--out) option=$word ;;
      --size|--callers|--in-flight|--rate|--duration|--warm-up|--rounds|--histogram|--subscribers|--command|--threads) option=$word ;;
      -?*) ;;
      *) given+=("$word") ;;
    esac
  done
  [[ -z $option && $current == --*=* ]] && option=${current%%=*} previous=$option=
  case $option in
    '') ;;
    -o|--output) _waggle_offer "$previous"{json,table,msgpack}; return ;;
    -i|--input) _waggle_offer "$previous"{json,msgpack}; return ;;
    --routes|--file|--key-file|--broker-key|--out|--histogram) compopt -o default 2>/dev/null; return ;;
    --group) _waggle_offer_names __groups; return ;;
    *) return ;;
  esac

  local subcommand=${given[0]-}
  if [[ $current == -* ]]; then
    _waggle_offer --help --broker --key-file --broker-key --budget --output --json
    case $subcommand in
      '') _waggle_offer --version ;;
      call) _waggle_offer --key --header --input --idempotent --later --idempotency-key ;;
      emit) _waggle_offer --key --header --input --event-id ;;
      sub) _waggle_offer --count --wait --since --last --all --from --stream ;;
      later) _waggle_offer --key --header --input --idempotency-key --run-budget ;;
      outcome) _waggle_offer --wait ;;
      dead)
        case ${given[1]-} in
          ls) _waggle_offer --from --limit ;;
          retry|drop) _waggle_offer --group ;;
        esac
        ;;
      ping) _waggle_offer --count --interval ;;
      raw) _waggle_offer --hex --bundle --count --wait ;;
      workers|queues|calls|stats) _waggle_offer --limit ;;
      drain) _waggle_offer --no-wait ;;
      routes) _waggle_offer --routes --offline --claims ;;
      keys)
        _waggle_offer --file
        [[ ${given[1]-} == new ]] && _waggle_offer --scope --expires --claims
        ;;
      keygen) _waggle_offer --out ;;
      bench)
        case ${given[1]-} in
          calls|events)
            _waggle_offer --key --header --input --size --callers --in-flight --rate --duration --warm-up --rounds --csv --no-header --histogram
            [[ ${given[1]} == events ]] && _waggle_offer --no-receipt --subscribers
            ;;
          serve) _waggle_offer --command --threads ;;
        esac
        ;;
    esac
    return
  fi
  case $subcommand:${#given[@]} in
    :0)
      _waggle_offer call emit sub ls describe ping raw version completion \
        workers queues calls stats drain pause resume routes streams groups dead later outcome keys keygen bench
      ;;
    call:1|later:1|describe:1|ls:1|queues:1|calls:1|stats:1|pause:1|resume:1) _waggle_offer_names __commands ;;
    workers:1|drain:1) _waggle_offer_names __workers ;;
    call:2|later:2|emit:2|raw:*) _waggle_offer_files ;;
    groups:1) _waggle_offer forget; _waggle_offer_names __groups ;;
    groups:2) [[ ${given[1]} == forget ]] && _waggle_offer_names __groups ;;
    dead:1) _waggle_offer ls show retry drop ;;
    dead:2) if [[ ${given[1]} == ls ]]; then _waggle_offer_names __groups; else _waggle_offer_names __dead; fi ;;
    bench:1) _waggle_offer calls events serve ;;
    bench:2) [[ ${given[1]} == calls ]] && _waggle_offer_names __commands ;;
    bench:3) _waggle_offer_files ;;
    completion:1) _waggle_offer bash zsh fish ;;
    keys:1) _waggle_offer new ls revoke ;;
    routes:1) _waggle_offer check ls explain schema ;;
    routes:2) [[ ${given[1]} == explain ]] && _waggle_offer GET POST PUT PATCH DELETE ;;&
    routes:*) [[ ${given[1]} == check ]] && compopt -o default 2>/dev/null ;;
  esac
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
  done < <(WAGGLE_BROKER=${opt_args[--broker]:-$WAGGLE_BROKER} waggle $1 2>/dev/null)
  _describe -t $2s $2 names
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
    'workers:list workers' 'queues:list commands and what waits for them' 'calls:list open calls'
    'stats:show counters and times' 'drain:ask a worker to leave' 'pause:let calls of a command wait'
    'resume:let them run again' 'routes:check, list and explain HTTP routes'
    'streams:list the streams of events' 'groups:list or forget consumer groups' 'dead:list, show, retry, drop dead letters'
    'later:have a command run whatever happens' 'outcome:tell what became of it' 'keys:make, list and revoke API keys' 'keygen:make a key pair'
    'bench:measure what a network carries'
  )
  _arguments -C \
    '--help[print help]' '--broker[where the broker is]:endpoint:' '--key-file[our key pair]:file:_files' \
    '--broker-key[public key of the broker]:key or file:_files' '--out[folder for the files]:folder:_files -/' '--budget[time to answer in]:duration:' \
    '(-o --output)'{-o,--output}'[form of the output]:form:(json table msgpack)' '--json[output JSON]' \
    '(-i --input)'{-i,--input}'[form of payloads]:form:(json msgpack)' '--key[what it is about]:key:' '--idempotent[may be sent again]' \
    '*--header[a header, name=value]:header:' '--count[end after so many]:count:' '--wait[end after so long]:duration:' \
    '--limit[show at most so many]:count:' '--no-wait[only ask]' '*--routes[files of routes]:file:_files' \
    '--offline[do not ask the broker]' '--event-id[own id of the event]:id:' '--since[begin so long ago]:age:' \
    '--last[begin with the last so many]:count:' '--all[begin with the oldest]' '--from[begin with this number]:number:' \
    '--stream[only of this stream]:stream:' '--later[only have it accepted]' '--idempotency-key[same key, same operation]:key:' \
    '--run-budget[time for each attempt]:duration:' '--file[file of API keys]:file:_files' '*--scope[what a key may be used for]:scope:' \
    '--expires[until when, from now]:time:' '--claims[what services are told]:json:' '--group[all of a group]:group:' \
    '--size[bytes of the payload]:bytes:' '--callers[connections]:count:' '--in-flight[under way at a time]:count:' '--rate[begun in a second]:rate:' \
    '--duration[time that is measured]:duration:' '--warm-up[time before that]:duration:' '--rounds[do all of it so often]:count:' \
    '--csv[comma-separated values]' '--no-header[no header line]' '--histogram[file for the distribution]:file:_files' \
    '--no-receipt[publish without receipts]' '--subscribers[have so many]:count:' '--command[name to serve]:name:' '--threads[handlers at a time]:count:' \
    '1:subcommand:->subcommand' '*::argument:->argument'
  case $state in
    subcommand) _describe -t subcommands 'subcommand' subcommands ;;
    argument)
      case $words[1] in
        call|later) if (( CURRENT == 2 )); then _waggle_names __commands command; else _waggle_payload; fi ;;
        describe|ls|queues|calls|stats|pause|resume) (( CURRENT == 2 )) && _waggle_names __commands command ;;
        workers|drain) (( CURRENT == 2 )) && _waggle_names __workers worker ;;
        emit) (( CURRENT > 2 )) && _waggle_payload ;;
        bench)
          if (( CURRENT == 2 )); then _values 'subcommand' calls events serve
          elif (( CURRENT == 3 )); then [[ $words[2] == calls ]] && _waggle_names __commands command
          else _waggle_payload; fi ;;
        completion) _values 'shell' bash zsh fish ;;
        groups) if (( CURRENT == 2 )); then _values 'subcommand' forget; elif (( CURRENT == 3 )); then _waggle_names __groups group; fi ;;
        dead)
          if (( CURRENT == 2 )); then _values 'subcommand' ls show retry drop
          elif (( CURRENT == 3 )); then
            if [[ $words[2] == ls ]]; then _waggle_names __groups group; else _waggle_names __dead letter; fi
          fi ;;
        keys) (( CURRENT == 2 )) && _values 'subcommand' new ls revoke ;;
        routes) if (( CURRENT == 2 )); then _values 'subcommand' check ls explain schema; elif [[ $words[2] == check ]]; then _files; fi ;;
      esac ;;
  esac
}
if [[ $funcstack[1] == _waggle ]]; then _waggle "$@"; else compdef _waggle waggle; fi
)sh";

constexpr std::string_view fish = R"sh(# fish completion for waggle:  waggle completion fish | source
set -l subcommands call emit sub ls describe ping raw version completion workers queues calls stats drain pause resume routes streams groups dead later outcome keys keygen bench
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
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a workers -d 'list workers'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a queues -d 'list commands and what waits for them'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a calls -d 'list open calls'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a stats -d 'show counters and times'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a drain -d 'ask a worker to leave'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a pause -d 'let calls of a command wait'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a resume -d 'let them run again'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a streams -d 'list the streams of events'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a groups -d 'list or forget consumer groups'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a dead -d 'list, show, retry, drop dead letters'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a later -d 'have a command run whatever happens'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a outcome -d 'tell what became of it'
complete -c waggle -n '__fish_seen_subcommand_from groups; and not __fish_seen_subcommand_from forget' -a forget
complete -c waggle -n '__fish_seen_subcommand_from groups' -a '(waggle __groups 2>/dev/null)'
complete -c waggle -n '__fish_seen_subcommand_from dead; and not __fish_seen_subcommand_from ls show retry drop' -a 'ls show retry drop'
complete -c waggle -n '__fish_seen_subcommand_from dead; and __fish_seen_subcommand_from ls' -a '(waggle __groups 2>/dev/null)'
complete -c waggle -n '__fish_seen_subcommand_from dead; and __fish_seen_subcommand_from show retry drop' -a '(waggle __dead 2>/dev/null)'
complete -c waggle -n '__fish_seen_subcommand_from dead; and __fish_seen_subcommand_from retry drop' -l group -x -a '(waggle __groups 2>/dev/null)' -d 'all of a group'
complete -c waggle -n '__fish_seen_subcommand_from emit' -l event-id -x -d 'own id of the event'
complete -c waggle -n '__fish_seen_subcommand_from sub' -l since -x -d 'begin so long ago'
complete -c waggle -n '__fish_seen_subcommand_from sub' -l last -x -d 'begin with the last so many'
complete -c waggle -n '__fish_seen_subcommand_from sub' -l all -d 'begin with the oldest'
complete -c waggle -n '__fish_seen_subcommand_from sub dead' -l from -x -d 'begin with this number'
complete -c waggle -n '__fish_seen_subcommand_from sub' -l stream -x -d 'only of this stream'
complete -c waggle -n '__fish_seen_subcommand_from call' -l later -d 'only have it accepted'
complete -c waggle -n '__fish_seen_subcommand_from call later' -l idempotency-key -x -d 'same key, same operation'
complete -c waggle -n '__fish_seen_subcommand_from later' -l run-budget -x -d 'time for each attempt'
complete -c waggle -n '__fish_seen_subcommand_from call later describe ls queues calls stats pause resume; and not __fish_seen_subcommand_from dead' -a '(waggle __commands 2>/dev/null)'
complete -c waggle -n '__fish_seen_subcommand_from workers drain' -a '(waggle __workers 2>/dev/null)'
complete -c waggle -n '__fish_seen_subcommand_from drain' -l no-wait -d 'only ask'
complete -c waggle -l limit -x -d 'show at most so many'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a routes -d 'check, list and explain HTTP routes'
complete -c waggle -n '__fish_seen_subcommand_from routes' -a 'check ls explain schema'
complete -c waggle -n '__fish_seen_subcommand_from routes' -l routes -r -F -d 'files of routes'
complete -c waggle -n '__fish_seen_subcommand_from routes' -l offline -d 'do not ask the broker'
complete -c waggle -n '__fish_seen_subcommand_from routes; and __fish_seen_subcommand_from check' -F
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a keys -d 'make, list and revoke API keys'
complete -c waggle -n '__fish_seen_subcommand_from keys; and not __fish_seen_subcommand_from new ls revoke' -a 'new ls revoke'
complete -c waggle -n '__fish_seen_subcommand_from keys' -l file -r -F -d 'file of API keys'
complete -c waggle -n '__fish_seen_subcommand_from keys; and __fish_seen_subcommand_from new' -l scope -x -d 'what it may be used for'
complete -c waggle -n '__fish_seen_subcommand_from keys; and __fish_seen_subcommand_from new' -l expires -x -d 'until when, from now'
complete -c waggle -n '__fish_seen_subcommand_from keys; and __fish_seen_subcommand_from new' -l claims -x -d 'what services are told'
complete -c waggle -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a keygen -d 'make a key pair'
complete -c waggle -n '__fish_seen_subcommand_from keygen' -l out -r -F -d 'folder for the files'
complete -c waggle -n "not __fish_seen_subcommand_from $subcommands" -a bench -d 'measure what a network carries'
complete -c waggle -n '__fish_seen_subcommand_from bench; and not __fish_seen_subcommand_from calls events serve' -a 'calls events serve'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l size -x -d 'bytes of the payload'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l callers -x -d 'connections'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l in-flight -x -d 'under way at a time'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l rate -x -d 'begun in a second'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l duration -x -d 'time that is measured'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l warm-up -x -d 'time before that'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l rounds -x -d 'do all of it so often'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l csv -d 'comma-separated values'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l no-header -d 'no header line'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from calls events' -l histogram -r -F -d 'file for the distribution'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from events' -l no-receipt -d 'publish without receipts'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from events' -l subscribers -x -d 'have so many'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from serve' -l command -x -d 'name to serve'
complete -c waggle -n '__fish_seen_subcommand_from bench; and __fish_seen_subcommand_from serve' -l threads -x -d 'handlers at a time'
complete -c waggle -l broker -x -d 'where the broker is'
complete -c waggle -l key-file -r -F -d 'our key pair'
complete -c waggle -l broker-key -r -F -d 'public key of the broker'
complete -c waggle -l budget -x -d 'time to answer in'
complete -c waggle -s o -l output -x -a 'json table msgpack' -d 'form of the output'
complete -c waggle -l json -d 'output JSON'
complete -c waggle -s i -l input -x -a 'json msgpack' -d 'form of payloads'
complete -c waggle -l key -x -d 'what it is about'
complete -c waggle -n '__fish_seen_subcommand_from call' -l idempotent -d 'may be sent again'
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
