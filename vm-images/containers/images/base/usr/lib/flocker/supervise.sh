# Sourced by entrypoints that are shells: what the first process of a container
# has to do around a server. The kernel ignores SIGTERM for process 1 unless it
# has a handler, and a shell runs its handlers only between commands or in
# `wait`, hence everything long runs in the background.

say() {
    echo "flocker: $*" >&2
}

fail() {
    say "error: $*"
    exit 1
}

# run_interruptible COMMAND...: runs a step of the initialisation. A stop ends
# the container at once (process 1 takes the others with it): every step must
# stand being cut off anyway, because a power cut does the same.
run_interruptible() {
    trap 'exit 143' TERM INT
    "$@" &
    wait "$!"
}

# serve SIGNAL COMMAND...: runs the server, stops it with SIGNAL when Docker or
# systemd asks for a stop, and leaves its exit status in `status`.
serve() {
    signal=$1
    shift
    "$@" &
    server=$!
    trap 'kill -s "$signal" "$server" 2>/dev/null || :' TERM INT
    status=0
    wait "$server" || status=$?
    # A handler that ran ends `wait` early; until it is waited for, an ended
    # server still counts as alive for `kill -0`.
    while kill -0 "$server" 2>/dev/null; do
        status=0
        wait "$server" || status=$?
    done
}

# require_volume DIRECTORY: explains the one thing that people get wrong.
require_volume() {
    if ! touch "$1/.writable" 2>/dev/null; then
        fail "cannot write to $1 as user $(id -u): mount a volume there that this user may write to"
    fi
    rm -f "$1/.writable"
}
