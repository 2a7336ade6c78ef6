#!/bin/sh
# Plays Docker for one command: --host ADDRESS start --attach NAME, or stop -t SECONDS NAME.
# A file NAME.status makes the container end at once with that status.
here=${0%/*}
shift 2
case $1 in
start)
    name=$3
    echo "$name start" >"$here/events"
    if [ -e "$here/$name.status" ]; then
        status=$(cat "$here/$name.status")
        exit "$status"
    fi
    # The container: not a child that the end of this process ends.
    sleep infinity &
    echo $! >"$here/$name.pid"
    container=$!
    # When the daemon goes away, the real command ends with 125.
    trap 'exit 125' USR1
    (tail -s 0.1 --pid="$(cat "$here/docker.pid")" -f /dev/null && kill -USR1 $$) &
    # The container has been asked to stop, and its end is what this waits for.
    trap '' TERM
    wait "$container"
    exit 143
    ;;
stop)
    name=$4
    echo "$name stop" >"$here/events"
    kill "$(cat "$here/$name.pid")"
    ;;
esac
