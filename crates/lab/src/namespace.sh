# The first process of a lab's namespaces: network and processes, and users
# when it was not root who started it. When it ends, the kernel kills every
# machine in them and takes the bridge and the taps away.
#
# Arguments: DIRECTORY attached|detached OPERATOR_ADDRESS/LENGTH TAP...
# It lives until its standard input ends or says something. That is a pipe from
# the lab's process, so that nothing survives that process however it ends; or,
# for a lab in the background, a FIFO that it holds open itself.
set -eu
directory=$1 mode=$2 address=$3
shift 3

exec 9>"$directory/lock"
flock --nonblock 9
if [ "$mode" = detached ]; then
    mkfifo -m 600 "$directory/leash"
    exec 0<>"$directory/leash"
fi

ip link set lo up
ip link add lab0 type bridge forward_delay 0
ip address add "$address" dev lab0
ip link set lab0 up
for tap; do
    ip tuntap add "$tap" mode tap
    ip link set "$tap" master lab0 up
done

# /proc is the one outside, so this is the number that others know us by.
read -r pid _ </proc/self/stat
echo "ready $pid"
# Whoever waits for our output to end must not wait for the whole lab.
exec >/dev/null 2>&1

read -r _ || :
# Everybody else in here.
kill -KILL -1 || :
rm -rf "$directory"
