#!/bin/sh
# Plays flocker-node: prepare NAME. A file NAME.unready makes it fail.
here=${0%/*}
echo "flocker-$2 prepare" >"$here/events"
mark=$here/flocker-$2.stopped
if [ -e "$here/flocker-$2.unready" ]; then
    echo unprepared >"$mark"
    exit 1
fi
rm -f "$mark"
