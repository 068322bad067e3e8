# fence.sh SCRATCH NAME TOKEN: make sure that array NAME, which the scheduler does not know, can never start a job.
#
# Says `known` if it did reach the scheduler after all, else `fenced`.
mkdir -p "$1/fences" && cd "$1" || exit 3
printf '%s\n' "$3" >"fences/.$3" && mv "fences/.$3" "fences/$2" || exit 3
[ -d arrays ] && cd arrays || { echo fenced && exit 0; }
[ -d ".fenced-$2" ] || [ ! -d "$2" ] || [ -f "$2/submitted" ] || mv "$2" ".fenced-$2" 2>/dev/null
if [ -d ".fenced-$2" ]; then
    # From here on no start marker can be made. One that is there, or an id, says that the array was submitted.
    if [ -f ".fenced-$2/submitted" ] || [ -n "$(ls ".fenced-$2/start")" ]; then
        mv ".fenced-$2" "$2" || exit 3
    else
        mv ".fenced-$2" ".trash-$3" && rm -rf ".trash-$3"
    fi
fi
if [ -d "$2" ]; then
    rm -f "../fences/$2"
    echo known
else
    echo fenced
fi
