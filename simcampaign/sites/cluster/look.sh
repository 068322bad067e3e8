# look.sh SCRATCH [COMMAND...]: what changed in arrays, in one command.
#
# Reads `NAME RANGES` lines: an array and its jobs that are known to have ended. Runs COMMAND, the scheduler's, first: a
# job that it no longer knows has written its exit code by now. Then prints, after `@array NAME`, an `e` line for each
# exit code, an `s` line for each job that has started and a `c` line for each cancellation; `@gone NAME` if there is none.
cd "$1/arrays" || exit 3
shift
if [ $# -gt 0 ]; then
    printf '@status\n'
    "$@" </dev/null
    printf '\n@code %s\n' "$?"
fi
unknown() { # the numbers among the names in a directory that are not in the ranges
    { printf '%s\n' "$2" && ls "$1"; } | awk '
        NR == 1 { count = split($0 == "-" ? "" : $0, parts, ","); for (i = 1; i <= count; i++) {
            two = split(parts[i], ends, "-"); for (n = ends[1] + 0; n <= ends[two] + 0; n++) known[n] = 1 } next }
        /^[0-9]+$/ && !(($0 + 0) in known)'
}
while read -r name ranges; do
    if [ ! -d "$name" ]; then
        printf '@gone %s\n' "$name"
        continue
    fi
    printf '@array %s\n' "$name"
    unknown "$name/ec" "$ranges" | (cd "$name/ec" && xargs cat /dev/null) | sed 's/^/e /'
    unknown "$name/start" "$ranges" | sed 's/^/s /'
    [ ! -f "$name/cancel" ] || sed 's/^/c /' "$name/cancel"
done 2>/dev/null
