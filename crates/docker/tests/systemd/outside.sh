# Runs outside of the namespaces: $1 is a directory that both sides see, $2 a name for the control
# group, $3 the script that runs inside. Kills what is inside when the input ends, and cleans up.
directory=$1
hierarchy=/sys/fs/cgroup
[ -d "$hierarchy/systemd" ] && hierarchy=$hierarchy/systemd
group=$hierarchy/flocker-systemd-$2
mkdir -p "$group"
sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" \
    unshare --net --mount --uts --ipc --cgroup --pid --fork --kill-child \
    sh -c "$3" sh "$directory" </dev/null &
inside=$!
cat >/dev/null
kill -KILL "$inside"
wait "$inside" 2>/dev/null
# The kernel ends the processes of a namespace one after the other, and may need a moment.
for attempt in 1 2 3 4 5 6 7 8 9; do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    [ -d "$group" ] || break
    sleep 0.1
done
rm -rf -- "$directory"
