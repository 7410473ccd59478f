#!/bin/sh
# Ends a test host by itself if the control node dies before it can. LIFETIME_SECONDS is set by the caller.
systemd-run --on-active="$LIFETIME_SECONDS" systemctl poweroff
