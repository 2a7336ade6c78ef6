#!/bin/sh
# Plays flocker-node: prepare NAME. A file NAME.unready makes it fail.
here=${0%/*}
echo "flocker-$2 prepare" >"$here/events"
rm -f "$here/flocker-$2.stopped"
! [ -e "$here/flocker-$2.unready" ]
