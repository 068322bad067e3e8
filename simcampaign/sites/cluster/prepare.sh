# prepare.sh SCRATCH NAME: make room for arrays; tell whether one of this name is there, or the fence against it.
mkdir -p "$1/arrays" "$1/fences" && cd "$1/arrays" && : >.here || exit 3
# What killed submissions left half done, long ago; two days are more than any submission takes.
find . -name '.new-*' -prune -mtime +2 -exec rm -rf {} + 2>/dev/null
find ../fences -type f -mtime +60 -exec rm -f {} + 2>/dev/null
if [ -d "$2" ]; then
    echo known
else
    printf 'free %s\n' "$(cat "../fences/$2" 2>/dev/null)"
fi
