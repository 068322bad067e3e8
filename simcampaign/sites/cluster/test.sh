# test.sh PATH COMMAND...: keep standard input at PATH for as long as COMMAND runs.
path=$1
shift
mkdir -p "${path%/*}" && cat >"$path" || exit 3
"$@" </dev/null
code=$?
rm -f "$path"
exit "$code"
