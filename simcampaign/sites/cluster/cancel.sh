# cancel.sh DIRECTORY REQUEST COMMAND...: write down what is to be cancelled, then cancel it.
#
# A job that ended so is known by the note where the scheduler only forgets it.
[ -d "$1" ] || exit 0
printf '%s\n' "$2" >>"$1/cancel" || exit 3
shift 2
"$@" </dev/null
