# Copyright: The ecommerce.fleet maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not be on a host: AWS keys in files, and metadata that anybody may read. Runs on the hosts, under Python 2.7 and 3.7+."""

from __future__ import absolute_import, division, print_function

import io
import os
import re
import socket
import stat

from .._host.encoding import name as text_of
from .._host.encoding import native, printable
from .._host.imds import Imds, ImdsError

__metaclass__ = type

MYPY = False
if MYPY:
    from typing import Any, Dict, Iterator, List, Optional  # noqa: F401

ACCESS_KEY = re.compile(r"(?<![A-Za-z0-9/+])AKIA[A-Z0-9]{16}(?![A-Za-z0-9/+])")
SECRET_KEY = re.compile(r"(?i)aws_?secret_?(?:access_?)?key[\"']?\s*[=:]\s*[\"']?[a-z0-9/+]{40}(?![a-z0-9/+])")
DOCUMENTED = "EXAMPLE"
"""AWS's own examples have it in their key."""
BELOW_HOME = (
    ".aws/credentials", ".aws/config", ".boto", ".s3cfg", ".passwd-s3fs", ".env", ".bashrc", ".bash_profile", ".profile", ".bash_history",
)  # fmt: skip
NOT_SEARCHED = ("/etc/selinux", "/etc/pki", "/etc/ssl", "/etc/udev", "/etc/alternatives", "/etc/ld.so.cache")
LARGEST_BYTES = 256 * 1024
ETHERTYPE_IP = 0x0800


def credentials_in(text):
    # type: (str) -> List[Dict[str, Any]]
    """{line, kind} of every long-lived AWS key in the text, never the key. Temporary ones (ASIA) run out by themselves. Pure."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for kind, pattern in (("access key id", ACCESS_KEY), ("secret access key", SECRET_KEY)):
            match = pattern.search(line)
            if match and DOCUMENTED not in match.group(0):
                found.append({"line": number, "kind": kind})
    return found


def static_credentials(homes, root=""):
    # type: (List[str], str) -> List[Dict[str, Any]]
    """{path, line, kind} of the AWS keys in /etc and in the homes' usual files. ``root`` is the directory that stands for /."""
    paths = [os.path.join(home, name) for home in sorted(set(homes)) for name in BELOW_HOME] + list(_below_etc(root))
    return [dict(found, path=printable(path)) for path in paths for found in credentials_in(_text(root + path))]


def _below_etc(root):
    # type: (str) -> Iterator[str]
    for folder, names, files in os.walk(native(root + "/etc")):
        shown = folder[len(native(root)) :]
        names[:] = sorted(name for name in names if os.path.join(shown, name) not in NOT_SEARCHED)
        for name in sorted(files):
            if os.path.join(shown, name) not in NOT_SEARCHED:
                yield text_of(os.path.join(shown, name))


def _text(path):
    # type: (str) -> str
    """The text of a regular file of a size that a person writes; '' otherwise."""
    try:
        path = native(path)
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_BYTES:
            return ""
        with io.open(path, "rb") as stream:
            content = stream.read()
    except (IOError, OSError):
        return ""
    return "" if b"\0" in content else content.decode("utf-8", "replace")


def metadata_state(imds=None):
    # type: (Optional[Imds]) -> Dict[str, Any]
    """{answers, tokens_required, hop_limit, violations} of the instance metadata service, by asking it as any program on the host could."""
    imds = imds or Imds()
    try:
        tokens_required = imds.status_without_token() != 200
        hop_limit = token_hop_limit(imds)
    except ImdsError as error:
        # None that answers gives nothing away.
        return {"answers": False, "tokens_required": None, "hop_limit": None, "violations": [], "error": "%s" % error}
    violations = metadata_violations(tokens_required, hop_limit)
    return {
        "answers": True,
        "tokens_required": tokens_required,
        "hop_limit": hop_limit,
        "violations": violations,
        "error": "",
    }


def metadata_violations(tokens_required, hop_limit):
    # type: (bool, Optional[int]) -> List[str]
    """Pure."""
    violations = []
    if not tokens_required:
        violations.append("it answers without a session token (IMDSv1): set HttpTokens to required")
    if hop_limit is None:
        violations.append("the hop limit of its token could not be seen from here")
    elif hop_limit != 1:
        violations.append(
            "its token travels %d hops, so containers on the host get it too: set HttpPutResponseHopLimit to 1"
            % hop_limit
        )
    return violations


def token_hop_limit(imds):
    # type: (Imds) -> Optional[int]
    """The time to live of the packet that brings a token, which is the instance's hop limit: no router lies between. None if unseen."""
    try:
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETHERTYPE_IP))
    except (AttributeError, OSError, IOError):  # no raw sockets here
        imds.get("instance-id")
        return None
    try:
        listener.setblocking(False)
        imds.get("instance-id")
        while True:
            hops = time_to_live(listener.recv(65535), imds.address, imds.token)
            if hops is not None:
                return hops
    except (OSError, IOError):  # nothing more was received
        return None
    finally:
        listener.close()


def time_to_live(packet, source, token):
    # type: (bytes, str, str) -> Optional[int]
    """The IP packet's, if it comes from that address and has the token. Pure."""
    if len(packet) < 20 or socket.inet_ntoa(packet[12:16]) != source or token.encode("ascii") not in packet:
        return None
    return bytearray(packet)[8]
