#!/bin/sh
# Leaves of a Debian root what runs our programs: no installer, no compiler, no perl, nothing that changes users.
# Run once, in the stage whose root becomes the image's. Works for a Debian with Python and for the official Python image.
set -eu

# Purge every installed package that a pattern names. Not deleted by file: so the list of packages that a scanner finds in
# the image stays true.
purge() {
    packages=$(dpkg-query --show --showformat='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null | sed -n 's/^.i //p')
    # shellcheck disable=SC2086 # a list of words
    dpkg --force-all --purge $packages >/tmp/slim.log 2>&1 || { cat /tmp/slim.log; exit 1; }
}
purge \
    apt 'libapt-pkg*' gpgv sqv debian-archive-keyring usrmerge 'libgdbm*' \
    'binutils*' 'libbinutils*' 'libgprofng*' 'libctf*' 'libjansson*' 'libsframe*' \
    'python3*-venv' 'python3-*-whl' python3-distutils python3-lib2to3 \
    adduser passwd login login.defs mount 'util-linux*' bsdutils 'libmount*' 'libblkid*' 'libsmartcols*' \
    e2fsprogs 'libext2fs2*' libss2 logsave 'libpam*' 'libsemanage*' 'libsepol*' 'libaudit*' 'libcap-ng*' \
    sysvinit-utils hostname 'libgnutls*' 'libhogweed*' 'libnettle*' 'libp11-kit*' 'libidn2*' 'libunistring*' \
    'libtasn1*' 'libgcrypt*' 'libgpg-error*' 'libseccomp*' 'libxxhash*' ncurses-bin
# What other packages call while they go; and then, by itself, the last one: nothing installs a package any more.
purge perl perl-base 'perl-modules-*' 'libperl5*' 'lib*-perl' init-system-helpers libsystemd0 libudev1 diffutils mawk \
    debconf 'libdebconfclient*'
purge dpkg

# Parts of packages that stay: character sets of the C library, and of Python what only people at a prompt use.
rm -rf /usr/lib/*/gconv
for library in /usr/lib/python3* /usr/local/lib/python3*; do
    [ -d "$library" ] || continue
    rm -rf "$library/pydoc_data" "$library/ensurepip" "$library/idlelib" "$library/turtledemo" "$library/lib2to3" \
        "$library/test" "$library/site-packages/pip" "$library"/site-packages/pip-* "$library"/config-*
done
rm -f /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/bin/2to3*

# A program that runs as its owner is a way up; none is needed.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
rm -rf /tmp/* /var/cache/* /var/log/* /var/lib/apt /var/lib/dpkg/info /var/lib/dpkg/*-old
