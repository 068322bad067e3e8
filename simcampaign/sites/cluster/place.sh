# place.sh SCRATCH NAME DRAFT FENCE COMMAND...: let the draft appear as array NAME and hand it to the scheduler.
#
# FENCE is the fence that the submitter knows of. Says `taken` if another was first, `fenced` if somebody has found since
# that the array was never submitted, `submitted` and what the command printed, or `refused CODE` and its errors.
trap '' HUP PIPE # the scheduler's answer is written down even if nobody waits for it any more
cd "$1/arrays" || exit 3
name=$2 draft=$3 fence=$4
shift 4
mkdir -p "$draft/out" "$draft/start" "$draft/ec" && : >"$draft/is$draft" || exit 3
[ -e "$name" ] || mv "$draft" "$name" 2>/dev/null
if [ ! -f "$name/is$draft" ]; then
    rm -rf "$draft" "${name:?}/$draft" # of two that moved at once, the second is inside the first
    echo taken
    exit 0
fi
# The fence is looked at after the array has appeared; whoever puts up a fence looks for the array after it. So at
# least one of the two sees the other.
if [ "$(cat "../fences/$name" 2>/dev/null)" != "$fence" ]; then
    mv "$name" ".trash$draft" && rm -rf ".trash$draft"
    echo fenced
    exit 0
fi
cd "$name" || { echo fenced && exit 0; }
"$@" >submitted.new 2>submit.err </dev/null
code=$?
# Whoever fenced the array meanwhile has removed it: what the scheduler took cannot start.
[ -f "is$draft" ] || { echo fenced && exit 0; }
if [ "$code" = 0 ]; then
    # Once the answer is in the array's own place no fence takes it away; before, one may have.
    { mv submitted.new submitted && [ -f "../$name/is$draft" ]; } || { echo fenced && exit 0; }
    echo submitted
    cat submitted
else
    echo "refused $code"
    cat submit.err submitted.new
fi
