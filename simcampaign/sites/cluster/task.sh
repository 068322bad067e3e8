# Runs one job of an array. The scheduler's script reads this file after it has set simcampaign_directory,
# simcampaign_id (the scheduler's id of the array) and simcampaign_index (from 0). POSIX shell, nothing else.

# Whoever makes the start marker runs the job; a second submission or a requeue leaves without a trace. The marker's
# path is absolute: in a directory that is no longer there under its name, no job can start.
simcampaign_marker=$simcampaign_directory/start/$simcampaign_index
simcampaign_tries=0
set -C
until { true >"$simcampaign_marker"; } 2>/dev/null; do
    [ ! -e "$simcampaign_marker" ] && [ "$simcampaign_tries" -lt 2 ] || exit 0
    simcampaign_tries=$((simcampaign_tries + 1))
    sleep 2
done
set +C
# A submitter that finds the marker puts a directory back that it had just moved away.
until cd "$simcampaign_directory" 2>/dev/null; do
    [ "$simcampaign_tries" -lt 30 ] || exit 0
    simcampaign_tries=$((simcampaign_tries + 1))
    sleep 1
done
# Hundredths of a second, from whichever moment. Starting `date` costs more than all the rest of this file.
simcampaign_clock() {
    { read -r simcampaign_now simcampaign_rest </proc/uptime; } 2>/dev/null &&
        simcampaign_now=${simcampaign_now%.*}${simcampaign_now#*.} || simcampaign_now=$(date +%s)00
}

simcampaign_clock
simcampaign_began=$simcampaign_now
printf '%s %s\n' "${simcampaign_node:=$(uname -n)}" "$simcampaign_id" >>"start/$simcampaign_index"

simcampaign_refuse() {
    printf 'simcampaign: %s\n' "$1"
    printf '%s\n' "$1" >"$simcampaign_directory/start/$simcampaign_index.refused"
    exit 125
}

# In a shell of its own: what is set for the job must not change what is done here.
simcampaign_run() {
    . "./jobs/$((simcampaign_index / 64)).sh"
    . ./command.sh # the environment, simcampaign_cwd and simcampaign_exec
    [ ! -f prologue.sh ] || . ./prologue.sh
    cd "$simcampaign_cwd" || simcampaign_refuse "directory $simcampaign_cwd cannot be entered on $simcampaign_node"
    simcampaign_exec
}

simcampaign_forward() {
    simcampaign_told=$1
    [ -z "$simcampaign_child" ] || kill "-$2" "$simcampaign_child" 2>/dev/null
}

simcampaign_told=-
simcampaign_child=
trap 'simcampaign_forward TERM TERM' TERM
trap 'simcampaign_forward INT TERM' INT # a child in the background ignores INT
trap 'simcampaign_forward XCPU XCPU' XCPU
trap 'simcampaign_forward USR1 USR1' USR1
trap 'simcampaign_forward USR2 USR2' USR2

(simcampaign_run) >>"out/$simcampaign_index.log" 2>&1 </dev/null &
simcampaign_child=$!
while :; do # a signal interrupts the wait; the child may take its time to end
    wait "$simcampaign_child"
    simcampaign_code=$?
    kill -0 "$simcampaign_child" 2>/dev/null || break
done

[ "$simcampaign_code" -le 256 ] || simcampaign_code=$((simcampaign_code - 128)) # ksh adds 256 to signals
[ "$simcampaign_code" != 125 ] || [ ! -f "start/$simcampaign_index.refused" ] || simcampaign_told=refused
simcampaign_clock
simcampaign_line="$simcampaign_index $simcampaign_code $((simcampaign_now - simcampaign_began)) %s $simcampaign_told"
simcampaign_tries=0
until date "+$simcampaign_line $simcampaign_node" >"ec/.$simcampaign_index" &&
    mv "ec/.$simcampaign_index" "ec/$simcampaign_index"; do
    [ "$simcampaign_tries" -lt 12 ] || exit 121 # the disk stays full: the scheduler's word must do
    simcampaign_tries=$((simcampaign_tries + 1))
    sleep 5
done 2>/dev/null
exit "$simcampaign_code"
