#!/bin/sh
# Plays Docker for one command: --host ADDRESS start --attach NAME, or stop --time SECONDS NAME.
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
    trap '' TERM
    wait $!
    exit 143
    ;;
stop)
    name=$4
    echo "$name stop" >"$here/events"
    kill "$(cat "$here/$name.pid")"
    ;;
esac
