# Runs as the first process of the namespaces and becomes systemd, below a root of its own that
# has this machine's /usr. $1 is a directory that both sides see.
set -e
directory=$1
root=$directory/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p usr dev proc sys run tmp var etc/systemd/system
mount --rbind /usr usr
for link in bin sbin lib lib32 lib64 libx32; do
    if [ -e "/usr/$link" ]; then ln -s "usr/$link" "$link"; fi
done
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
if [ -d /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd systemd sys/fs/cgroup/systemd
else
    mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
cp /etc/passwd /etc/group etc/
if [ -d /etc/alternatives ]; then cp -a /etc/alternatives etc/; fi
echo 0123456789abcdef0123456789abcdef >etc/machine-id
mount -t tmpfs tmpfs run
mkdir -p run/dbus run/systemd/system ".$directory/shared"
mount --bind "$directory/bus" run/dbus
mount --bind "$directory/units" run/systemd/system
mount --bind "$directory/shared" ".$directory/shared"
# Nothing of an ordinary boot but what D-Bus needs.
for unit in usr/lib/systemd/system/*.target.wants/*; do
    case ${unit##*/} in
    dbus.* | systemd-journald*) ;;
    *) ln -sf /dev/null "etc/systemd/system/${unit##*/}" ;;
    esac
done
cat >etc/systemd/system/docker.service <<END
[Unit]
StartLimitIntervalSec=0
[Service]
Type=exec
ExecStart=/bin/sh -c 'echo \$\$\$\$ >$directory/shared/docker.pid; exec sleep infinity'
Restart=always
RestartSec=2
END
cat >etc/systemd/system/test.service <<END
[Unit]
Requires=dbus.service
After=dbus.service docker.service
Wants=docker.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo booted >$directory/shared/events'
END
ip link set lo up
exec chroot . /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin \
    /lib/systemd/systemd --unit=test.service --log-target=console --show-status=0
