# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is: its network driver, size, swap and time zone; and what of that is not as required.

Reading takes the root directory as an argument; checking takes only data. Runs on the hosts, under Python 2.7 and 3.7+.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import fnmatch
import io
import os
import re

from .encoding import decoded, encoded
from .text import lines_of

ENHANCED = dict(ena="ena", ixgbevf="sr-iov")
"""Driver to the kind of enhanced networking that it is (EC2 User Guide, "Enhanced networking")."""
HOSTNAME = re.compile(r"^(?=.{1,64}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
METADATA = dict(
    instance_id="instance-id",
    instance_type="instance-type",
    zone="placement/availability-zone",
    region="placement/region",
    private_ip="local-ipv4",
)


def text_of(path):
    """A file's text, or '' if it can't be read."""
    try:
        with io.open(path, "rb") as stream:
            return decoded(stream.read())
    except (IOError, OSError):
        return ""


def primary_interface(routes):
    """The interface of the default route with the lowest metric, from the text of /proc/net/route; '' without one."""
    found = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == "00000000" and fields[7] == "00000000":
            found.append((int(fields[6]), fields[0]))
    return min(found)[1] if found else ""


def driver_of(root, interface):
    """The kernel driver of an interface; '' for one without hardware, as in a container."""
    link = os.path.join(root, "sys/class/net", interface, "device/driver")
    return os.path.basename(os.path.realpath(link)) if interface and os.path.exists(link) else ""


def network(root):
    interface = primary_interface(text_of(os.path.join(root, "proc/net/route")))
    driver = driver_of(root, interface)
    if driver:
        enhanced = ENHANCED.get(driver, "none")
    else:
        enhanced = "unknown"
    return dict(interface=interface, driver=driver or "none", enhanced_networking=enhanced)


def memory_mib(meminfo):
    found = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found.group(1)) // 1024 if found else 0


def processors(stat):
    """Processors that are online, from the text of /proc/stat."""
    return len(re.findall(r"^cpu\d+ ", stat, re.MULTILINE))


def unescaped(field):
    """A field of /etc/fstab or /proc/swaps, where blanks and backslashes are octal numbers (getmntent(3))."""
    plain = re.sub(b"\\\\([0-3][0-7]{2})", lambda match: bytes(bytearray([int(match.group(1), 8)])), encoded(field))
    return decoded(plain)


def active_swap(swaps):
    """[{path, mib}] from the text of /proc/swaps. The kernel keeps one page (4 KiB) of an area for itself."""
    rows = [line.split() for line in swaps.splitlines()[1:]]
    return [dict(path=unescaped(row[0]), mib=(int(row[2]) + 4) // 1024) for row in rows if len(row) >= 5]


def declared_swap(fstab):
    """The paths that /etc/fstab declares as swap."""
    rows = [line.split() for line in lines_of(fstab) if not line.lstrip().startswith("#")]
    return [unescaped(row[0]) for row in rows if len(row) >= 3 and row[2] == "swap"]


def timezone(root):
    """The name of the zone that /etc/localtime links to; '' if it is no such link."""
    try:
        target = os.readlink(os.path.join(root, "etc/localtime"))
    except OSError:
        return ""
    return target.split("/zoneinfo/", 1)[1] if "/zoneinfo/" in target else ""


def same_locale(name):
    """`C.utf8` and `C.UTF-8` are one."""
    language, dot, charset = name.partition(".")
    return language + dot + charset.lower().replace("-", "")


def expand_hostname(template, metadata):
    """The name that a template such as `web-{instance_id}` or `{tag:Name}` stands for.

    `metadata(path)` gives the text of instance metadata, or None. What a name can't have in a tag's value becomes '-'.
    Raises ValueError with what is wrong.
    """

    def value(match):
        word = match.group(1)
        if word.startswith("tag:"):
            found = metadata("tags/instance/" + word[4:])
            if found is None:
                raise ValueError(
                    "instance metadata has no tag '%s'. Tags are there if the launch template sets InstanceMetadataTags "
                    "to enabled" % word[4:]
                )
            return re.sub("[^a-z0-9.-]+", "-", found.lower()).strip("-.")
        if word not in METADATA:
            raise ValueError("{%s} is not known; there are {%s} and {tag:NAME}" % (word, "}, {".join(sorted(METADATA))))
        found = metadata(METADATA[word])
        if found is None:
            raise ValueError("instance metadata has no %s" % METADATA[word])
        return found.replace(".", "-") if word in ("private_ip", "instance_type") else found

    name = PLACEHOLDER.sub(value, template)
    if not HOSTNAME.match(name):
        raise ValueError(
            "'%s' is no host name: lower-case letters, digits and '-', parts of up to 63 characters, 64 in all" % name
        )
    return name


def check(required, instance, net):
    """[{check, state: ok|failed|unknown, message}] about the instance and its network.

    `required`: instance_types_allowed, min_vcpus, min_memory_mib, ena. `instance`: type (None if unknown), vcpus, memory_mib.
    """
    return [_type(required, instance), _size(required, instance), _ena(net)]


def refusals(required, checks):
    """The checks that must stop the role: what failed, and what is required but can't be proven."""
    strict = dict(instance_type=bool(required["instance_types_allowed"]), size=True, ena=required["ena"] == "required")
    return [each for each in checks if strict[each["check"]] and each["state"] != "ok"]


def _type(required, instance):
    allowed = required["instance_types_allowed"]
    if instance["type"] is None:
        return _result("instance_type", "unknown", "The instance type is unknown: instance metadata gives none.")
    if allowed and not [pattern for pattern in allowed if fnmatch.fnmatchcase(instance["type"], pattern)]:
        message = "The instance type is '%s'; allowed: %s." % (instance["type"], ", ".join(allowed))
        return _result("instance_type", "failed", message)
    return _result("instance_type", "ok", "The instance type is '%s'." % instance["type"])


def _size(required, instance):
    found = "The instance has %(vcpus)s vCPUs and %(memory_mib)s MiB of memory" % instance
    if instance["vcpus"] < required["min_vcpus"] or instance["memory_mib"] < required["min_memory_mib"]:
        needed = "%(min_vcpus)s vCPUs and %(min_memory_mib)s MiB" % required
        return _result("size", "failed", "%s; at least %s are needed." % (found, needed))
    return _result("size", "ok", found + ".")


def _ena(net):
    where = "The primary interface %s" % (net["interface"] or "(none: there is no default route)")
    if net["enhanced_networking"] == "ena":
        return _result("ena", "ok", where + " uses the ena driver.")
    if net["enhanced_networking"] == "unknown":
        why = " has no hardware driver, as in a container: enhanced networking is not proven."
        return _result("ena", "unknown", where + why)
    remedy = "Use an instance type of the Nitro System and an image with ENA support."
    return _result("ena", "failed", "%s uses the driver '%s', not ena. %s" % (where, net["driver"], remedy))


def _result(check, state, message):
    return dict(check=check, state=state, message=message)
