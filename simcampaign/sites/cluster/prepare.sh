# prepare.sh SCRATCH NAME [PROGRAM PATH]: make room for arrays; tell whether one of this name is there.
#
# Says `known`, or `missing` if the program is not in the PATH (its own if it is not empty), or `free FENCE`.
mkdir -p "$1/arrays" "$1/fences" && cd "$1/arrays" && : >.here || exit 3
# What killed submissions left half done, long ago; two days are more than any submission takes.
find . -name '.new-*' -prune -mtime +2 -exec rm -rf {} + 2>/dev/null
find ../fences -type f -mtime +60 -exec rm -f {} + 2>/dev/null
if [ -d "$2" ]; then
    echo known
elif [ -n "${3:-}" ] && ! (PATH=${4:-$PATH} && command -v "$3") >/dev/null; then
    echo missing
else
    printf 'free %s\n' "$(cat "../fences/$2" 2>/dev/null)"
fi
