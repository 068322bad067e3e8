# seal.sh DIRECTORY: make the start markers of jobs in their place, so that they can never start.
#
# Reads an index a line; prints those that have begun already.
cd "$1/start" || exit 3
set -C
while read -r index; do
    if { : >"$index"; } 2>/dev/null; then
        : >"$index.sealed" || exit 3
    else
        [ -e "$index" ] || exit 3
        [ -e "$index.sealed" ] || echo "$index"
    fi
done
