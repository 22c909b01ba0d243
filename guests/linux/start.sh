#!/bin/sh
# SPDX-License-Identifier: MIT
# What busybox's init does first.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2> /dev/null
echo 'init is ready'
